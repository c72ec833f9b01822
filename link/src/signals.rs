//! What the two ends of a session tell each other about the session itself, on a stream of its
//! own: keep-alive, and streams that are no longer read.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::session::{KeepAlive, Shared};
use crate::stream::Stream;

/// The first line of the stream that carries signals.
pub(crate) const NAME: &str = "signals";

/// One signal: five bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// The stream with this number is no longer read here.
    Abandon(u32),
}

impl Signal {
    fn encode(self) -> [u8; 5] {
        let (kind, value) = match self {
            Self::Ping => (1, 0),
            Self::Pong => (2, 0),
            Self::Abandon(id) => (3, id),
        };
        let [a, b, c, d] = u32::to_be_bytes(value);
        [kind, a, b, c, d]
    }

    fn parse([kind, a, b, c, d]: [u8; 5]) -> Option<Self> {
        match kind {
            1 => Some(Self::Ping),
            2 => Some(Self::Pong),
            3 => Some(Self::Abandon(u32::from_be_bytes([a, b, c, d]))),
            _ => None,
        }
    }
}

/// Carries signals both ways until the session ends; ends the session when the other end is
/// silent for too long. Only the host gives a `keep_alive`: a guest cannot tell a dead host from
/// a sleeping one, and loses nothing by waiting.
pub(crate) async fn run(
    stream: Stream,
    shared: Arc<Shared>,
    mut outgoing: mpsc::UnboundedReceiver<Signal>,
    keep_alive: Option<KeepAlive>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (heard, mut hearing) = mpsc::channel::<()>(1);
    let receiving = async {
        loop {
            let mut bytes = [0; 5];
            reader.read_exact(&mut bytes).await?;
            // A full channel says the same as one more entry.
            let _ = heard.try_send(());
            match Signal::parse(bytes) {
                Some(Signal::Ping) => shared.signal(Signal::Pong),
                Some(Signal::Abandon(id)) => shared.abandon(id),
                // An unknown signal is a newer peer's: it must not need an answer.
                Some(Signal::Pong) | None => {}
            }
        }
    };
    let sending = async {
        while let Some(signal) = outgoing.recv().await {
            writer.write_all(&signal.encode()).await?;
            writer.flush().await?;
        }
        io::Result::Ok(())
    };
    let watching = async {
        let Some(keep_alive) = keep_alive else {
            return std::future::pending::<()>().await;
        };
        let mut last = Instant::now();
        loop {
            tokio::select! {
                // When both are ready the word counts, not the clock.
                biased;
                Some(()) = hearing.recv() => last = Instant::now(),
                () = tokio::time::sleep(keep_alive.every) => {
                    if last.elapsed() >= keep_alive.patience {
                        return;
                    }
                    shared.signal(Signal::Ping);
                }
            }
        }
    };
    let receiving = async {
        let result: io::Result<()> = receiving.await;
        result
    };
    tokio::select! {
        _ = receiving => shared.end("the other end left"),
        _ = sending => {}
        () = watching => shared.end("the other end no longer answers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_survive_the_wire() {
        for signal in [Signal::Ping, Signal::Pong, Signal::Abandon(77_001)] {
            assert_eq!(Signal::parse(signal.encode()), Some(signal));
        }
        assert_eq!(Signal::parse([9, 0, 0, 0, 0]), None);
    }
}
