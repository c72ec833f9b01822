//! The link's ends against a peer that has lost its mind: from the first byte, or once a session has
//! begun; and the messages that travel on its streams.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

use std::cell::RefCell;
use std::time::Duration;

use fuzz::seeds;
use libfuzzer_sys::fuzz_target;
use link::control::{FromGuest, FromHost, split};
use link::{Incoming, Opener, Service, Stream, datagrams, ports};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, copy_bidirectional, duplex};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// A session ends with its byte stream, at once.
const SOON: Duration = Duration::from_secs(5);
const ROOM: usize = 256 << 10;

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    RUNTIME.with_borrow(|runtime| {
        if let (Some(runtime), Some((kind, bytes))) = (runtime, bytes.split_first()) {
            let bytes = &bytes[..bytes.len().min(ROOM / 2)];
            let done = runtime.block_on(async { timeout(SOON, run(kind % 6, bytes)).await });
            done.unwrap_or_else(|_| panic!("it goes on after the end of its byte stream"));
        }
    });
});

fn begin() {
    seeds::write(examples());
    let runtime = fuzz::runtime();
    RUNTIME.set(Some(runtime));
}

async fn run(kind: u8, bytes: &[u8]) {
    match kind {
        0 => first_bytes(bytes).await,
        1 => session(bytes, true).await,
        2 => session(bytes, false).await,
        3 => control(bytes).await,
        4 => {
            let mut rest = bytes;
            if ports::asked(&mut rest).await.is_ok() {
                assert!(rest.len() < bytes.len());
            }
        }
        _ => {
            let (mut rest, mut datagram) = (bytes, Vec::new());
            while let Ok(Some(())) = datagrams::receive(&mut rest, &mut datagram).await {
                assert!(datagram.len() <= bytes.len());
            }
        }
    }
}

/// A guest hears anything before a session.
async fn first_bytes(bytes: &[u8]) {
    let (ours, mut theirs) = duplex(ROOM);
    theirs.write_all(bytes).await.unwrap();
    theirs.shutdown().await.unwrap();
    if let Ok((_, incoming)) = link::guest(ours).await {
        serve(incoming).await;
    }
}

/// A session begins as it should, and goes on with these bytes to one of its ends.
async fn session(bytes: &[u8], to_guest: bool) {
    let (host, mut of_host) = duplex(ROOM);
    let (guest, mut of_guest) = duplex(ROOM);
    let ends = {
        let both = async { tokio::join!(link::host_on_new(host), link::guest(guest)) };
        tokio::select! {
            ends = both => ends,
            _ = copy_bidirectional(&mut of_host, &mut of_guest) => panic!("no session"),
        }
    };
    let (host, guest) = (ends.0.unwrap(), ends.1.unwrap());
    let ((opener, incoming), mut wire) = if to_guest {
        (guest, of_guest)
    } else {
        (host, of_host)
    };
    wire.write_all(bytes).await.unwrap();
    tokio::join!(serve(incoming), ask(opener), answer(wire));
}

/// Reads what is said to bytes, and ends.
async fn answer(mut wire: DuplexStream) {
    let mut said = [0; 4096];
    let _ = timeout(Duration::from_millis(1), wire.read(&mut said)).await;
}

async fn ask(opener: Opener) {
    if let Ok(mut stream) = opener.open(Service::Api).await {
        let _ = stream.write_all(b"question").await;
        let _ = stream.shutdown().await;
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
    }
}

async fn serve(mut incoming: Incoming) {
    let mut serving = tokio::task::JoinSet::new();
    while let Some((service, stream)) = incoming.accept().await {
        serving.spawn(one(service, stream));
    }
    serving.join_all().await;
}

async fn one(service: Service, mut stream: Stream) {
    match service {
        Service::Control => {
            let (mut reader, _writer) = split(stream);
            while let Ok(Some(_)) = reader.receive::<FromHost>().await {}
        }
        Service::Port => {
            if ports::asked(&mut stream).await.is_ok() {
                let _ = ports::answer(&mut stream).await;
            }
        }
        Service::Api | Service::Resolve => {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            let _ = stream.write_all(&said).await;
            let _ = stream.shutdown().await;
        }
    }
}

/// What is understood means the same once it was said again.
async fn control(bytes: &[u8]) {
    let (ours, mut theirs) = duplex(ROOM);
    theirs.write_all(bytes).await.unwrap();
    theirs.shutdown().await.unwrap();
    let (mut reader, _writer) = split(ours);
    while let Ok(Some(message)) = reader.receive::<serde_json::Value>().await {
        if let Ok(message) = serde_json::from_value::<FromHost>(message.clone()) {
            let said = serde_json::to_vec(&message).unwrap();
            let again: FromHost = serde_json::from_slice(&said).unwrap();
            assert_eq!(again, message);
        }
        if let Ok(message) = serde_json::from_value::<FromGuest>(message) {
            let said = serde_json::to_vec(&message).unwrap();
            let again: FromGuest = serde_json::from_slice(&said).unwrap();
            assert_eq!(again, message);
        }
    }
}

/// Frames of the multiplexer (version, kind, flags, stream, length) and messages.
fn examples() -> Vec<Vec<u8>> {
    let frame = |kind: u8, flags: u8, stream: u8, length: u8, body: &[u8]| {
        let head = [0, kind, 0, flags, 0, 0, 0, stream, 0, 0, 0, length];
        [head.as_slice(), body].concat()
    };
    let mut seeds = Vec::new();
    for (end, stream) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        for line in [
            &b"api\n"[..],
            b"control\n",
            b"port\n",
            b"resolve\n",
            b"signals\n",
        ] {
            let length = u8::try_from(line.len()).unwrap();
            let frames = [
                vec![end],
                frame(1, 1, stream, 0, b""),
                frame(0, 0, stream, length, line),
                frame(0, 4, stream, 5, b"tcp 1"),
                frame(2, 1, 0, 7, b""),
                frame(3, 0, 0, 0, b""),
            ];
            seeds.push(frames.concat());
        }
    }
    let messages: [(u8, &[u8]); 8] = [
        (3, b"{\"kind\":\"shutdown\",\"timeout_s\":5}\n"),
        (
            3,
            b"{\"kind\":\"hello\",\"version\":\"1\",\"kernel\":\"6\"}\n{\"kind\":\"x\"}\n",
        ),
        (3, b"{\"kind\":\"routes\",\"subnets\":[\"10.0.0.0/8\"]}\n"),
        (
            3,
            b"{\"kind\":\"published\",\"seq\":1,\"open\":[[\"127.0.0.1:80\"]]}\n",
        ),
        (4, b"tcp 127.0.0.1:80\n"),
        (4, b"udp [::1]:53\n"),
        (5, b"\0\x03abc\0\0"),
        (0, &[0xff; 64]),
    ];
    seeds.extend(messages.map(|(kind, text)| [&[kind], text].concat()));
    seeds
}
