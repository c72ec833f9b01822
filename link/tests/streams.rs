//! Streams of a session as its users see them: half-close, resets, back-pressure, fairness.
#![allow(clippy::expect_used)]
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::time::Duration;

use link::{Incoming, KeepAlive, Opener, Service, Stream, guest, host, host_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

async fn within<F: Future>(what: F) -> F::Output {
    timeout(DEADLINE, what).await.expect("took too long")
}

async fn pair() -> ((Opener, Incoming), (Opener, Incoming)) {
    let (here, there) = duplex(64 * 1024);
    let (host, guest) = within(async { tokio::join!(host(here), guest(there)) }).await;
    (host.unwrap(), guest.unwrap())
}

async fn stream(opener: &Opener, incoming: &mut Incoming) -> (Stream, Stream) {
    let opened = within(opener.open(Service::Api)).await.unwrap();
    let (service, accepted) = within(incoming.accept()).await.unwrap();
    assert_eq!(service, Service::Api);
    (opened, accepted)
}

#[tokio::test]
async fn each_direction_closes_on_its_own() {
    let ((opener, _h), (_g, mut incoming)) = pair().await;
    let (mut ours, mut theirs) = stream(&opener, &mut incoming).await;
    ours.write_all(b"question").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut heard = Vec::new();
    within(theirs.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"question");
    // Long after the other direction has ended, more than a window flows.
    let answer = vec![7; 3 << 20];
    let sent = answer.clone();
    let writing = tokio::spawn(async move {
        theirs.write_all(&sent).await.unwrap();
        theirs.shutdown().await.unwrap();
        theirs
    });
    let mut heard = Vec::new();
    within(ours.read_to_end(&mut heard)).await.unwrap();
    assert!(heard == answer);
    within(writing).await.unwrap();
}

#[tokio::test]
async fn the_guest_opens_streams_too() {
    let ((_h, mut incoming), (opener, _g)) = pair().await;
    let mut ours = within(opener.open(Service::Control)).await.unwrap();
    let (service, mut theirs) = within(incoming.accept()).await.unwrap();
    assert_eq!(service, Service::Control);
    theirs.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    within(ours.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn a_dropped_stream_is_a_reset_and_no_end_of_file() {
    let ((opener, _h), (_g, mut incoming)) = pair().await;
    let (mut ours, mut theirs) = stream(&opener, &mut incoming).await;
    theirs.write_all(b"half an ans").await.unwrap();
    theirs.flush().await.unwrap();
    drop(theirs);
    let mut heard = Vec::new();
    let error = within(ours.read_to_end(&mut heard)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(heard, b"half an ans");
}

#[tokio::test]
async fn who_waits_when_this_end_closes_the_session_is_told() {
    let ((opener, _h), (_g, mut incoming)) = pair().await;
    let (mut reading, _silent) = stream(&opener, &mut incoming).await;
    let (mut writing, _unread) = stream(&opener, &mut incoming).await;
    let reading = tokio::spawn(async move { reading.read_u8().await });
    let writing = tokio::spawn(async move {
        let chunk = vec![0; 64 * 1024];
        while writing.write_all(&chunk).await.is_ok() {}
    });
    // Until both wait; the test holds without, but then it shows less.
    tokio::time::sleep(Duration::from_millis(100)).await;
    opener.close();
    let error = within(reading).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    within(writing).await.unwrap();
}

#[tokio::test]
async fn who_writes_to_a_reader_that_left_after_its_own_end_is_told() {
    let ((opener, _h), (_g, mut incoming)) = pair().await;
    let (mut ours, mut theirs) = stream(&opener, &mut incoming).await;
    ours.write_all(b"logs, please").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut heard = Vec::new();
    within(theirs.read_to_end(&mut heard)).await.unwrap();
    drop(ours);
    let chunk = vec![0; 64 * 1024];
    let error = within(async {
        loop {
            if let Err(error) = theirs.write_all(&chunk).await {
                return error;
            }
        }
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

/// Writes until nothing moves any more; returns how much was taken.
async fn fill(stream: &mut Stream) -> usize {
    let chunk = vec![1; 64 * 1024];
    let mut taken = 0;
    while let Ok(written) = timeout(Duration::from_millis(300), stream.write(&chunk)).await {
        taken += written.unwrap();
        assert!(taken < 64 << 20, "there is no back-pressure");
    }
    taken
}

#[tokio::test]
async fn an_unread_stream_stops_its_writer_and_nobody_else() {
    let ((opener, _h), (_g, mut incoming)) = pair().await;
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let (mut ours, theirs) = stream(&opener, &mut incoming).await;
        assert!(fill(&mut ours).await >= 64 * 1024);
        stuck.push((ours, theirs));
    }
    let (mut ours, mut theirs) = stream(&opener, &mut incoming).await;
    let payload = vec![9; 4 << 20];
    let expected = payload.clone();
    let writing = tokio::spawn(async move {
        ours.write_all(&payload).await.unwrap();
        ours.shutdown().await.unwrap();
        ours
    });
    let mut heard = Vec::new();
    within(theirs.read_to_end(&mut heard)).await.unwrap();
    assert!(heard == expected);
    writing.await.unwrap();
    // And the stuck ones go on where they were.
    let (mut ours, mut theirs) = stuck.pop().unwrap();
    let writing = tokio::spawn(async move {
        ours.write_all(b"end").await.unwrap();
        ours.shutdown().await.unwrap();
        ours
    });
    let mut heard = Vec::new();
    within(theirs.read_to_end(&mut heard)).await.unwrap();
    assert!(heard.ends_with(b"\x01end"));
    writing.await.unwrap();
}

#[tokio::test]
async fn a_thousand_streams_at_once() {
    let ((opener, _h), (_g, mut incoming)) = pair().await;
    let echo = tokio::spawn(async move {
        while let Some((_, stream)) = incoming.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = tokio::io::split(stream);
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
                writer.shutdown().await.unwrap();
            });
        }
    });
    let mut clients = Vec::new();
    for number in 0..1000_u32 {
        let opener = opener.clone();
        clients.push(tokio::spawn(async move {
            let mut stream = opener.open(Service::Api).await.unwrap();
            let payload = number.to_be_bytes().repeat(1000);
            stream.write_all(&payload).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            assert!(heard == payload);
        }));
    }
    within(async {
        for client in clients {
            client.await.unwrap();
        }
    })
    .await;
    drop(opener);
    drop(_h);
    within(echo).await.unwrap();
}

#[tokio::test]
async fn silent_streams_don_t_use_up_the_session() {
    let ((opener, _h), (_g, mut incoming)) = pair().await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(stream(&opener, &mut incoming).await);
    }
    let (mut ours, mut theirs) = stream(&opener, &mut incoming).await;
    theirs.write_all(b"x").await.unwrap();
    assert_eq!(within(ours.read_u8()).await.unwrap(), b'x');
}

#[tokio::test]
async fn a_dead_peer_breaks_streams_and_ends_the_session() {
    let (here, there) = duplex(64 * 1024);
    let (cut, wire) = cuttable(there);
    let (host, guest) = tokio::join!(host(here), guest(wire));
    let ((opener, mut ours), (_g, mut incoming)) = (host.unwrap(), guest.unwrap());
    let (mut opened, _accepted) = stream(&opener, &mut incoming).await;
    cut.abort();
    let error = within(opened.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    within(opener.closed()).await;
    assert!(opener.is_closed());
    assert!(opener.open(Service::Api).await.is_err());
    assert!(within(ours.accept()).await.is_none());
}

/// A wire that is cut without a word when its task is aborted.
fn cuttable(mut end: DuplexStream) -> (tokio::task::JoinHandle<()>, DuplexStream) {
    let (mut middle, wire) = duplex(64 * 1024);
    let task = tokio::spawn(async move {
        let _ = tokio::io::copy_bidirectional(&mut end, &mut middle).await;
    });
    (task, wire)
}

#[tokio::test]
async fn a_silent_peer_is_found_out() {
    let (here, there) = duplex(64 * 1024);
    let (frozen, wire) = cuttable_but_held(there);
    let keep_alive = KeepAlive {
        every: Duration::from_millis(30),
        patience: Duration::from_millis(300),
    };
    let (host, _guest) = tokio::join!(host_with(here, keep_alive), guest(wire));
    let (opener, _incoming) = host.unwrap();
    // As long as it answers, it lives.
    assert!(
        timeout(Duration::from_secs(1), opener.closed())
            .await
            .is_err()
    );
    frozen.send(()).unwrap();
    within(opener.closed()).await;
}

/// A wire that stops moving, without an end, when told.
fn cuttable_but_held(mut end: DuplexStream) -> (tokio::sync::oneshot::Sender<()>, DuplexStream) {
    let (mut middle, wire) = duplex(64 * 1024);
    let (freeze, frozen) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut end, &mut middle) => {}
            _ = frozen => std::future::pending::<()>().await,
        }
    });
    (freeze, wire)
}
