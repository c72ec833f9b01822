//! A port that outlives sessions: each new session begins cleanly, whatever the old one left.
#![allow(clippy::unwrap_used)]

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use link::{Error, Service, guest, host};
use proptest::prelude::*;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

/// One process's grip on an end of the port: letting go does not close the port.
#[derive(Clone)]
struct Grip {
    port: Arc<Mutex<DuplexStream>>,
    killed: Arc<AtomicBool>,
}

impl Grip {
    fn new(port: &Arc<Mutex<DuplexStream>>) -> Self {
        Self {
            port: port.clone(),
            killed: Arc::default(),
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.killed.load(Ordering::SeqCst) {
            Err(io::ErrorKind::BrokenPipe.into())
        } else {
            Ok(())
        }
    }
}

impl AsyncRead for Grip {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut *self.port.lock().unwrap()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Grip {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut *self.port.lock().unwrap()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A guest that echoes, session after session, on one port.
async fn echoing_guest(port: Arc<Mutex<DuplexStream>>) {
    loop {
        let Ok((_opener, mut incoming)) = guest(Grip::new(&port)).await else {
            return;
        };
        while let Some((_, stream)) = incoming.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = tokio::io::split(stream);
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    }
}

#[tokio::test]
async fn sessions_follow_each_other_on_a_port_that_never_ends() {
    let (here, there) = duplex(16 * 1024);
    let port = Arc::new(Mutex::new(here));
    tokio::spawn(echoing_guest(Arc::new(Mutex::new(there))));
    for round in 0..5_u8 {
        let grip = Grip::new(&port);
        let killed = grip.killed.clone();
        let (opener, _incoming) = timeout(DEADLINE, host(grip)).await.unwrap().unwrap();
        let mut stream = opener.open(Service::Api).await.unwrap();
        stream.write_all(&[round; 1000]).await.unwrap();
        let mut heard = [0; 1000];
        timeout(DEADLINE, stream.read_exact(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, [round; 1000]);
        // Killed in the middle of sending: the guest is left with part of a long frame.
        let sending = tokio::spawn(async move { stream.write_all(&vec![0; 1 << 20]).await });
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        killed.store(true, Ordering::SeqCst);
        sending.abort();
        drop(opener);
    }
}

#[tokio::test]
async fn a_guest_that_dies_within_the_handshake_is_called_again() {
    let (here, mut there) = duplex(64 * 1024);
    let host = tokio::spawn(host(here));
    // The first guest echoes what it hears, as its echo, and is gone.
    let mut call = [0; 32];
    there.read_exact(&mut call).await.unwrap();
    let echo = guest_echo(call);
    there.write_all(&echo).await.unwrap();
    // Its Start is read by nobody who knows it.
    let mut start = [0; 32];
    while start[8] != 3 {
        there.read_exact(&mut start).await.unwrap();
    }
    let guest = timeout(DEADLINE, guest(there)).await.unwrap().unwrap();
    timeout(DEADLINE, host).await.unwrap().unwrap().unwrap();
    drop(guest);
}

/// A call, as its echo.
fn guest_echo(mut call: [u8; 32]) -> [u8; 32] {
    call[8] = 2;
    let sum = call[..28].iter().fold(0x811c_9dc5_u32, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    call[28..].copy_from_slice(&sum.to_be_bytes());
    call
}

#[tokio::test]
async fn a_new_guest_ends_the_session_with_the_old_one() {
    let (here, there) = duplex(16 * 1024);
    let (port, guest_port) = (Arc::new(Mutex::new(here)), Arc::new(Mutex::new(there)));
    let old = Grip::new(&guest_port);
    let killed = old.killed.clone();
    let (host_side, guest_side) = tokio::join!(host(Grip::new(&port)), guest(old));
    let ((opener, _incoming), guest_side) = (host_side.unwrap(), guest_side.unwrap());
    // The guest dies in the middle of a long frame.
    let mut stream = guest_side.0.open(Service::Api).await.unwrap();
    let sending = tokio::spawn(async move { stream.write_all(&vec![0; 1 << 20]).await });
    tokio::task::yield_now().await;
    killed.store(true, Ordering::SeqCst);
    sending.abort();
    drop(guest_side);
    // Without a word of a new one nothing is noticed for long.
    assert!(
        timeout(Duration::from_millis(200), opener.closed())
            .await
            .is_err()
    );
    let mut new = Grip::new(&guest_port);
    link::hail(&mut new).await;
    let guest = tokio::spawn(guest(new));
    timeout(DEADLINE, opener.closed()).await.unwrap();
    let (host, guest) = tokio::join!(timeout(DEADLINE, host(Grip::new(&port))), guest);
    host.unwrap().unwrap();
    guest.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_that_ends_is_an_error() {
    let (here, there) = duplex(1024);
    drop(there);
    assert!(matches!(guest(here).await, Err(Error::Ended)));
    let (here, there) = duplex(1024);
    drop(there);
    assert!(host(here).await.is_err());
}

#[tokio::test]
async fn the_host_listens_while_its_call_waits_for_room() {
    // Less room than one call, and nobody reads until later.
    let (here, there) = duplex(8);
    let host = tokio::spawn(host(here));
    tokio::task::yield_now().await;
    let guest = timeout(DEADLINE, guest(there)).await.unwrap().unwrap();
    timeout(DEADLINE, host).await.unwrap().unwrap().unwrap();
    drop(guest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn stale_bytes_in_both_directions_don_t_matter(
        to_guest in proptest::collection::vec(any::<u8>(), 0..3000),
        to_host in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut here, mut there) = duplex(4096);
            here.write_all(&to_guest).await.unwrap();
            there.write_all(&to_host).await.unwrap();
            let both = async { tokio::join!(host(here), guest(there)) };
            let (host, guest) = timeout(DEADLINE, both).await.unwrap();
            let ((opener, _h), (_g, mut incoming)) = (host.unwrap(), guest.unwrap());
            let mut ours = opener.open(Service::Control).await.unwrap();
            let (service, mut theirs) = incoming.accept().await.unwrap();
            assert_eq!(service, Service::Control);
            ours.write_all(b"first").await.unwrap();
            let mut heard = [0; 5];
            theirs.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"first");
        });
    }
}
