//! Names asked of the engine's name server, by a client on another core than the engine's.

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::peers::Peer;

use crate::space::Space;

/// Questions under way at a time.
const WINDOW: u16 = 32;
const WHILE: Duration = Duration::from_secs(2);

/// Answers a second that the engine gives with one core.
pub(crate) fn rate(engine: &Peer, inside: &Space) -> f64 {
    let agent = agent(engine);
    pin(agent, "0");
    pin(std::process::id(), "1");
    let rate = inside.run(ask);
    pin(agent, "0-1023");
    pin(std::process::id(), "0-1023");
    rate
}

fn ask() -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect("127.0.0.11:53").expect("the name server");
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a limit");
    let name = "host.docker.internal";
    for number in 0..WINDOW {
        socket.send(&question(number, name)).expect("a question");
    }
    let begun = Instant::now();
    let mut answers = 0_u32;
    let mut buffer = [0; 512];
    while begun.elapsed() < WHILE {
        let count = socket.recv(&mut buffer).expect("an answer");
        // An answer without a fault, with one address.
        assert!(
            count > 12 && buffer[3] & 15 == 0 && buffer[7] == 1,
            "{:?}",
            &buffer[..count]
        );
        answers += 1;
        let number = u16::from_be_bytes([buffer[0], buffer[1]]);
        socket.send(&question(number, name)).expect("a question");
    }
    f64::from(answers) / begun.elapsed().as_secs_f64()
}

/// A question for an IPv4 address (RFC 1035).
fn question(number: u16, name: &str) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).expect("a label"));
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

fn agent(engine: &Peer) -> u32 {
    tests::wait::child_named(engine.pid(), "slipway-agent").expect("the agent")
}

/// Keeps a process on these cores.
fn pin(pid: u32, cores: &str) {
    let done = Command::new("taskset")
        .args([
            "--all-tasks",
            "--cpu-list",
            "--pid",
            cores,
            &pid.to_string(),
        ])
        .output();
    assert!(done.expect("taskset").status.success(), "taskset {cores}");
}
