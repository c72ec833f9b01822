//! Requests that no client would send: damaged, cut off and too large ones. Each is answered with
//! an error of HTTP or with nothing, and the engine lives.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Host, host, request};

/// Real requests, to be damaged.
const REQUESTS: [&str; 8] = [
    "GET /v1.51/containers/json?all=1&limit=3&size=1&filters=%7B%22status%22%3A%5B%22running%22%5D%7D HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /v1.51/containers/create?name=noise HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 46\r\n\r\n{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":1e9}}",
    "POST /v1.41/containers/still/attach?stream=1&stdin=1&detachKeys=ctrl-a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\x01\x00\x00\x00\x00\x00\x00\x05input",
    "GET /containers/still/logs?stdout=1&since=1.5&until=2e3&tail=all&details=1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "PUT /containers/still/archive?path=/tmp&noOverwriteDirNonDir=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    "GET /events?since=0&until=1&filters=%7B%22type%22%3A%7B%22container%22%3Atrue%7D%7D HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /containers/still/exec HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"Cmd\":[\"true\"]}",
    "GET /containers/still/attach/ws?stream=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\u{81}\u{5}hello",
];

/// How a request is damaged.
#[derive(Debug, Clone)]
enum Damage {
    Cut(usize),
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0_usize..400;
    prop_oneof![
        at.clone().prop_map(Damage::Cut),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (at.clone(), proptest::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at, 1_usize..2000).prop_map(|(at, times)| Damage::Repeat(at, times)),
    ]
}

fn damaged(request: &str, all: &[Damage]) -> Vec<u8> {
    let mut bytes: Vec<u8> = request.chars().map(|c| c as u8).collect();
    for one in all {
        let at = |at: &usize| at % bytes.len().max(1);
        match one {
            Damage::Cut(place) => bytes.truncate(at(place)),
            Damage::Set(place, byte) => {
                let place = at(place);
                if let Some(old) = bytes.get_mut(place) {
                    *old = *byte;
                }
            }
            Damage::Insert(place, more) => {
                let place = at(place);
                bytes.splice(place..place, more.iter().copied());
            }
            Damage::Repeat(place, times) => {
                let place = at(place);
                let byte = bytes.get(place).copied().unwrap_or(b'/');
                bytes.splice(place..place, std::iter::repeat_n(byte, *times));
            }
        }
    }
    bytes
}

#[test]
fn damaged_requests_are_survived() {
    let host = host!();
    host.docker(&["run", "-di", "--name", "still", "busybox", "cat"])
        .good();
    let agent = host.agent();
    let config = Config {
        cases: 400,
        failure_persistence: None,
        ..Config::default()
    };
    let noise = (
        proptest::sample::select(&REQUESTS[..]),
        proptest::collection::vec(damage(), 1..5),
    );
    TestRunner::new(config)
        .run(&noise, |(request, damage)| {
            let answer = say(&host, &damaged(request, &damage));
            let answer = String::from_utf8_lossy(&answer);
            prop_assert!(
                answer.is_empty() || answer.starts_with("HTTP/1."),
                "{answer}"
            );
            Ok(())
        })
        .unwrap();
    assert_eq!(host.agent(), agent, "the engine was started again");
    let log = std::fs::read_to_string(host.path("log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(
        host.docker(&["run", "--rm", "busybox", "echo", "alive"])
            .good(),
        "alive"
    );
}

/// Sends bytes and the end; what came back.
fn say(host: &Host, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    // Streams such as an attachment stay open: what is there at first is enough.
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    // The engine may have hung up before the last byte.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn a_body_too_large_is_refused() {
    let host = host!();
    let label = "x".repeat(17 << 20);
    let body = format!(r#"{{"Image":"busybox","Labels":{{"a":"{label}"}}}}"#);
    let (status, answer) = request(
        &host,
        "POST",
        "/containers/create",
        "application/json",
        &body,
    );
    assert_eq!(status, 400, "{answer:.200}");
    assert!(answer.contains("larger than 16 MiB"), "{answer:.200}");
    assert_eq!(host.docker(&["ps", "-aq"]).good(), "");
}

/// Docker's command sends a push's head and its body one after the other.
#[test]
fn a_body_may_come_after_the_answer() {
    let host = host!();
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    for (path, status) in [
        ("/images/nothing/tag?repo=x", "404"),
        ("/containers/nothing/pause", "404"),
        ("/swarm/init", "503"),
        ("/images/prune", "200"),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        let count = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]);
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{path}: {answer}");
        // Time to close the connection.
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"{}\n").unwrap();
    }
}
