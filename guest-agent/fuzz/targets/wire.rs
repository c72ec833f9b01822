//! What the engine and the warden say to each other, and bytes that neither would say.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use fuzz::seeds;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use warden::log::local;
use warden::protocol::{Message, Request};
use warden::wire::{Decoder, Encoder, Progress};

fuzz_target!(init: seeds::write(examples()), |bytes: &[u8]| {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    // More than a socket holds would wait for its reader.
    let bytes = &bytes[..bytes.len().min(64 << 10)];
    ours.write_all(bytes).unwrap();
    drop(ours);
    let mut decoder = Decoder::default();
    let mut read = 0;
    while let Ok(Progress::Message(body, descriptors)) = decoder.read(theirs.as_fd()) {
        read += 4 + body.len();
        assert!(read <= bytes.len() && descriptors.is_empty());
        there_and_back::<Request>(&body);
        there_and_back::<Message>(&body);
    }
    record(bytes);
});

/// What is understood must mean the same once it was said again.
fn there_and_back<M: DeserializeOwned + Serialize>(body: &[u8]) {
    let Ok(message) = serde_json::from_slice::<M>(body) else {
        return;
    };
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut encoder = Encoder::default();
    encoder.push(&message, Vec::new()).unwrap();
    let mut decoder = Decoder::default();
    theirs.set_nonblocking(true).unwrap();
    let said = loop {
        encoder.flush(ours.as_fd()).unwrap();
        if let Progress::Message(said, _) = decoder.read(theirs.as_fd()).unwrap() {
            break said;
        }
    };
    let again: M = serde_json::from_slice(&said).unwrap();
    assert_eq!(
        serde_json::to_vec(&again).unwrap(),
        said,
        "a message changes on its way"
    );
}

/// A record of a log, read and written.
fn record(bytes: &[u8]) {
    if let Some(found) = local::Record::decode(bytes) {
        let mut out = Vec::new();
        found.encode(&mut out);
        let (front, rest) = out.split_first_chunk::<{ local::LENGTH }>().unwrap();
        let (body, back) = rest.split_last_chunk::<{ local::LENGTH }>().unwrap();
        assert_eq!(front, back);
        assert_eq!(local::Record::decode(body), Some(found));
        let believed = local::length(*front);
        assert!(believed.is_none_or(|length| length == body.len()));
    }
}

fn examples() -> Vec<Vec<u8>> {
    let bodies = [
        r#"{"seq":1,"call":{"call":"list"}}"#,
        r#"{"seq":2,"call":{"call":"signal","target":{"container":"a","exec":null},"signal":9}}"#,
        r#"{"seq":3,"call":{"call":"resize","target":{"container":"a","exec":"b"},"rows":2,"cols":3}}"#,
        r#"{"seq":4,"call":{"call":"attach","target":{"container":"a","exec":null},"streams":{"stdin":true,"stdout":true,"stderr":false,"raw":true}}}"#,
        r#"{"seq":5,"call":{"call":"replace-log","container":"a","inode":7,"compressed":"/x"}}"#,
        r#"{"kind":"reply","seq":1,"outcome":{"outcome":"processes","processes":[]}}"#,
        r#"{"kind":"event","event":"log-rotated","container":"a"}"#,
    ];
    let framed = |body: &str| {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [length.as_slice(), body.as_bytes()].concat()
    };
    let mut seeds: Vec<_> = bodies.iter().map(|body| framed(body)).collect();
    seeds.push(seeds.concat());
    seeds
}
