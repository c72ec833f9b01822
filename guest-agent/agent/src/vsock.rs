//! Connections over vsock. Everybody on the host's computer reaches the machine's ports there, so a
//! connection begins with the key that slipwayd gave this machine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockListener, VsockStream};

/// How often a port is asked for until vsock's driver is loaded, which is beside the engine.
const LOOK: Duration = Duration::from_millis(5);

/// When it is told that there is none.
const LATE: Duration = Duration::from_secs(10);

/// How long a connection may take to show the key, and how many may be about to.
const PATIENCE: Duration = Duration::from_secs(2);
const STRANGERS: usize = 16;

/// What a connection begins with. It is not printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the connection begins with the key.
    async fn is_shown(&self, connection: &mut (impl AsyncRead + Unpin)) -> bool {
        let mut shown = vec![0; self.0.len()];
        let reading = connection.read_exact(&mut shown);
        if !matches!(tokio::time::timeout(PATIENCE, reading).await, Ok(Ok(_))) {
            return false;
        }
        // The time that this takes does not tell how much was right.
        let differences = shown.iter().zip(self.0.as_bytes()).map(|(a, b)| a ^ b);
        differences.fold(0, |all, one| all | one) == 0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The connections to a port that have shown the key.
pub(crate) fn connections(port: u32, key: Key) -> mpsc::Receiver<VsockStream> {
    let (known, connections) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut listener = listen(port).await;
        let strangers = Arc::new(Semaphore::new(STRANGERS));
        loop {
            let mut stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting the link failed");
                    listener = listen(port).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&strangers).try_acquire_owned() else {
                continue;
            };
            let (key, known) = (key.clone(), known.clone());
            tokio::spawn(async move {
                if key.is_shown(&mut stream).await {
                    // Nobody takes it when the machine ends.
                    let _ = known.send(stream).await;
                } else {
                    // The host gives attempts up while the machine comes up.
                    tracing::debug!(port, "a connection over vsock did not show the key");
                }
                drop(place);
            });
        }
    });
    connections
}

async fn listen(port: u32) -> VsockListener {
    let began = tokio::time::Instant::now();
    let mut late = false;
    loop {
        match VsockListener::bind(VsockAddr::new(VMADDR_CID_ANY, port)) {
            Ok(listener) => return listener,
            Err(error) if !late && began.elapsed() > LATE => {
                late = true;
                tracing::error!(%error, port, "listening on vsock fails");
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_shown_whole() {
        let key = Key::new("00ff");
        for (said, expected) in [
            (&b"00ff"[..], true),
            (b"00ffmore", true),
            (b"00fe", false),
            (b"00f", false),
        ] {
            let (mut ours, mut theirs) = tokio::io::duplex(64);
            tokio::io::AsyncWriteExt::write_all(&mut theirs, said)
                .await
                .expect("room");
            drop(theirs);
            assert_eq!(key.is_shown(&mut ours).await, expected, "{said:?}");
        }
    }
}
