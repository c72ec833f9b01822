//! Published ports of a container in the machine, through us against QEMU's own port forwarding
//! (`hostfwd`) into the same machine: bytes each way, and requests. The sides take turns.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement prints, and one that can't go on fails"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tests::figure::{Figures, median, time};
use tests::server::{connect, open_at, who};
use tests::{Driver, Machine, server, wait};

/// Bytes of one transfer.
const BYTES: u64 = 64 << 20;

/// Requests of a round.
const REQUESTS: usize = 200;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Milliseconds of one round; where the server's ports 80, 9 and 19 are.
type Measure = fn([SocketAddr; 3]) -> f64;

fn main() -> ExitCode {
    let rounds = std::env::var("SLIPWAY_BENCH_ROUNDS");
    let rounds: usize = rounds.ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let machine = Machine::started(Driver::Qemu).expect("a machine");
    server::load(&machine).expect("the server");
    let ports = [unused(), unused(), unused()];
    let [web, sink, source] = ports.map(|port| port.to_string());
    let publish = [
        format!("{web}:80"),
        format!("{sink}:9"),
        format!("{source}:19"),
    ];
    let options: Vec<&str> = publish.iter().flat_map(|port| ["-p", port]).collect();
    server::run(&machine, "server", &options);
    let ours = ["80", "9", "19"].map(|port| open_at(&machine, "server", port));
    let theirs = ports.map(|port| forward(&machine, port));
    for address in [ours[0], theirs[0]] {
        wait::until_true("the server answers", Duration::from_secs(30), || {
            who(address).is_ok_and(|name| name == "server")
        });
    }
    let figures = Figures::new("ports");
    let measures: [(&str, Measure, &str, f64); 4] = [
        ("to-container", |at| time(|| upload(at[1])), "ms", 0.5),
        ("from-container", |at| time(|| download(at[2])), "ms", 0.5),
        ("request", |at| requests(at[0]), "ms", 1.3),
        ("connect-and-request", |at| connections(at[0]), "ms", 1.3),
    ];
    for (name, measure, unit, line) in measures {
        let (mut our, mut their) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            their.push(measure(theirs));
            our.push(measure(ours));
        }
        figures.report(name, median(our), median(their), unit, line);
    }
    if figures.short() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn unused() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Has QEMU forward a port of its own to the machine's, where the kernel leads it to the container.
fn forward(machine: &Machine, port: u16) -> SocketAddr {
    let own = unused();
    let stream = UnixStream::connect(machine.home().join("run/qmp.sock")).expect("the monitor");
    let mut writer = stream.try_clone().expect("the monitor");
    let mut lines = BufReader::new(stream).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("an answer").expect("an answer");
        serde_json::from_str(&line).expect("an answer")
    };
    next();
    let command = format!("hostfwd_add net tcp:127.0.0.1:{own}-10.0.2.15:{port}");
    for order in [
        json!({"execute": "qmp_capabilities"}),
        json!({"execute": "human-monitor-command", "arguments": {"command-line": command}}),
    ] {
        writeln!(writer, "{order}").expect("the monitor");
        let answer = loop {
            let answer = next();
            if answer.get("event").is_none() {
                break answer;
            }
        };
        let said = answer["return"].as_str().unwrap_or_default();
        assert!(
            answer.get("return").is_some() && said.is_empty(),
            "{answer}"
        );
    }
    SocketAddr::from(([127, 0, 0, 1], own))
}

fn upload(at: SocketAddr) {
    let mut stream = connect(at).expect("a connection");
    let bytes = vec![7; 256 * 1024];
    for _ in 0..BYTES / bytes.len() as u64 {
        stream.write_all(&bytes).expect("room");
    }
    stream.shutdown(Shutdown::Write).expect("an end");
    let mut total = [0; 8];
    stream.read_exact(&mut total).expect("a count");
    assert_eq!(u64::from_be_bytes(total), BYTES);
}

fn download(at: SocketAddr) {
    let mut stream = connect(at).expect("a connection");
    stream.write_all(&BYTES.to_be_bytes()).expect("room");
    let mut bytes = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        match stream.read(&mut bytes).expect("bytes") {
            0 => break,
            count => total += count as u64,
        }
    }
    assert_eq!(total, BYTES);
}

/// One request on a connection that is open.
fn requests(at: SocketAddr) -> f64 {
    let mut stream = connect(at).expect("a connection");
    let mut answer = [0; 1024];
    let one = |_| {
        time(|| {
            stream.write_all(REQUEST).expect("room");
            let count = stream.read(&mut answer).expect("an answer");
            assert!(answer[..count].ends_with(b"server"));
        })
    };
    median((0..REQUESTS).map(one).collect())
}

/// A connection and a request on it.
fn connections(at: SocketAddr) -> f64 {
    let one = |_| {
        time(|| {
            who(at).expect("an answer");
        })
    };
    median((0..REQUESTS / 4).map(one).collect())
}
