//! Published ports, as programs on the person's computer see them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use crate::server::{NAME, connect, open_at, run, who};
use crate::{Driver, Machine, Steps, server, wait};

const LIMIT: Duration = Duration::from_secs(30);

/// Connections at once.
const MANY: usize = 1200;

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    // Docker's own daemon is kept in a network of its own, where its ports are not reached.
    if machine.driver() == Driver::Docker {
        return;
    }
    if let Err(why) = server::load(machine) {
        return crate::steps::skip(&why);
    }
    steps.step("ports: TCP, both kinds of address", || tcp(machine));
    steps.step("ports: each direction ends on its own", || {
        half_close(machine);
    });
    steps.step("ports: UDP", || udp(machine));
    steps.step("ports: ranges, and -P", || ranges(machine));
    steps.step("ports: free ones are chosen", || free(machine));
    steps.step("ports: conflicts say who has the port", || {
        conflicts(machine);
    });
    steps.step("ports: replicas share one", || replicas(machine));
    if machine.driver() == Driver::Qemu {
        steps.step("ports: many connections at once", || many(machine));
        steps.step("ports: connections outlive the engine", || {
            engine_crash(machine);
        });
    }
}

/// Publishes and waits until the server listens.
fn published(machine: &Machine, name: &str, options: &[&str]) {
    run(machine, name, options);
    let at = open_at(machine, name, "80");
    wait::until_true("the server listens", LIMIT, || who(at).is_ok());
}

fn remove(machine: &Machine, names: &[&str]) {
    machine.docker(&[&["rm", "-f"], names].concat()).ok();
}

/// A port that nobody has at the moment.
fn unused() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn tcp(machine: &Machine) {
    let port = unused();
    published(machine, "web", &["-p", &format!("{port}:80")]);
    assert_eq!(open_at(machine, "web", "80").port(), port);
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        let address: SocketAddr = address.parse().expect("an address");
        assert_eq!(who(address).expect("an answer"), "web", "{address}");
    }
    // A restart gives it back and takes it again.
    machine.docker(&["restart", "-t", "1", "web"]).ok();
    let at = open_at(machine, "web", "80");
    wait::until_true("it is back", LIMIT, || who(at).is_ok());
    remove(machine, &["web"]);
    assert!(connect(at).is_err(), "the port is still open");
}

fn half_close(machine: &Machine) {
    published(machine, "echo", &["-p", "80", "-p", "127.0.0.1::7"]);
    let mut stream = connect(open_at(machine, "echo", "7")).expect("a connection");
    let sent: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let mut writer = stream.try_clone().expect("a stream");
    let (expected, writing) = (
        sent.clone(),
        std::thread::spawn(move || {
            writer.write_all(&sent).expect("room");
            writer.shutdown(Shutdown::Write).expect("an end");
        }),
    );
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("an answer");
    writing.join().expect("the writer");
    assert!(heard.ends_with(b"end"), "{} bytes came back", heard.len());
    assert!(heard[..heard.len() - 3] == expected);
    remove(machine, &["echo"]);
}

fn udp(machine: &Machine) {
    published(machine, "datagrams", &["-p", "80", "-p", "7/udp"]);
    let port = open_at(machine, "datagrams", "7/udp").port();
    for length in [0, 1, 1400] {
        for (own, at) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")] {
            let socket = UdpSocket::bind(own).expect("a socket");
            socket.connect(format!("{at}:{port}")).expect("an address");
            let wait = Some(Duration::from_secs(1));
            socket.set_read_timeout(wait).expect("a limit");
            let (sent, mut heard) = (vec![5; length], vec![0; 2000]);
            let heard = wait::until(&format!("a datagram comes back from {at}"), LIMIT, || {
                socket.send(&sent).expect("a way");
                let count = socket.recv(&mut heard).ok()?;
                Some(heard[..count].to_vec())
            });
            assert_eq!(heard, sent);
        }
    }
    remove(machine, &["datagrams"]);
}

/// Ranges keep their order, and what is only exposed gets ports of its own.
fn ranges(machine: &Machine) {
    let first = unused().min(65_000);
    let range = format!("127.0.0.1:{first}-{}:7-9", first + 2);
    let both = ["-p", "80", "-p", &range, "-p", &format!("{range}/udp")];
    published(machine, "ranged", &both);
    for (port, expected) in [
        ("7", first),
        ("9", first + 2),
        ("7/udp", first),
        ("9/udp", first + 2),
    ] {
        assert_eq!(open_at(machine, "ranged", port).port(), expected, "{port}");
    }
    remove(machine, &["ranged"]);
    let exposed = [
        "--expose",
        "80",
        "--expose",
        "7/udp",
        "--expose",
        "9000-9003",
    ];
    published(machine, "exposed", &[&["-P"], &exposed[..]].concat());
    let told = machine.docker(&["port", "exposed"]).ok();
    let mut lines: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("0.0.0.0:"))
        .collect();
    lines.sort_unstable();
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split(" -> ").next())
        .collect();
    let expected = [
        "7/udp", "80/tcp", "9000/tcp", "9001/tcp", "9002/tcp", "9003/tcp",
    ];
    assert_eq!(names, expected, "{told}");
    remove(machine, &["exposed"]);
    if machine.driver() == Driver::Qemu {
        let said = machine.docker(&["run", "-d", "--name", "sctp", "-p", "9/sctp", NAME]);
        let why = "SCTP ports can't be published: only TCP and UDP reach your computer";
        assert!(said.stderr.contains(why), "{said}");
        remove(machine, &["sctp"]);
    }
}

fn free(machine: &Machine) {
    let first = unused();
    let range = format!("127.0.0.1:{first}-{}:80", first.saturating_add(20));
    published(machine, "one", &["-p", &range]);
    published(machine, "two", &["-p", &range, "-p", "7"]);
    let (one, two) = (open_at(machine, "one", "80"), open_at(machine, "two", "80"));
    assert_ne!(one, two);
    assert_eq!(who(one).expect("an answer"), "one");
    assert_eq!(who(two).expect("an answer"), "two");
    assert!(connect(open_at(machine, "two", "7")).is_ok());
    remove(machine, &["one", "two"]);
}

fn conflicts(machine: &Machine) {
    let port = unused();
    let publish = format!("127.0.0.1:{port}:80");
    run(machine, "first", &["-p", &publish]);
    let args = ["run", "-d", "--name", "second", "-p", &publish, NAME];
    let said = machine.docker(&args);
    assert_ne!(said.code, 0, "{said}");
    let words = format!("Bind for 127.0.0.1:{port} failed: port is already allocated");
    assert!(said.stderr.contains(&words), "{said}");
    assert!(
        said.stderr
            .contains("driver failed programming external connectivity on endpoint second"),
        "{said}"
    );
    remove(machine, &["first", "second"]);
    let theirs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = theirs.local_addr().expect("an address").port();
    let publish = format!("127.0.0.1:{port}:80");
    let said = machine.docker(&["run", "-d", "--name", "third", "-p", &publish, NAME]);
    assert_ne!(said.code, 0, "{said}");
    assert!(said.stderr.contains("address already in use"), "{said}");
    let me = format!("(process {})", std::process::id());
    assert!(said.stderr.contains(&me), "{said}");
    // Once the port is free the same container starts.
    drop(theirs);
    machine.docker(&["start", "third"]).ok();
    remove(machine, &["third"]);
}

fn replicas(machine: &Machine) {
    let publish = format!("127.0.0.1:{}:80", unused());
    let service = |service: &str| format!("com.docker.compose.service={service}");
    let (web, other) = (service("web"), service("other"));
    let project = ["--label", "com.docker.compose.project=shop", "-p", &publish];
    let options = |service| [&project[..], &["--label", service]].concat();
    published(machine, "one", &options(&web));
    run(machine, "two", &options(&web));
    let at = open_at(machine, "one", "80");
    let asked = |count: usize| -> Vec<String> { (0..count).filter_map(|_| who(at).ok()).collect() };
    wait::until_true("both answer", LIMIT, || {
        let names = asked(6);
        names.contains(&"one".to_owned()) && names.contains(&"two".to_owned())
    });
    let args = [
        &["run", "-d", "--name", "stranger"],
        &options(&other)[..],
        &[NAME],
    ]
    .concat();
    let said = machine.docker(&args);
    assert!(said.stderr.contains("port is already allocated"), "{said}");
    machine.docker(&["stop", "-t", "1", "one"]).ok();
    assert_eq!(asked(6), ["two"; 6]);
    remove(machine, &["one", "two", "stranger"]);
}

fn many(machine: &Machine) {
    published(
        machine,
        "many",
        &["-p", "127.0.0.1::80", "-p", "127.0.0.1::7"],
    );
    let at = open_at(machine, "many", "7");
    let mut streams: Vec<_> = (0..MANY)
        .map(|_| connect(at).expect("a connection"))
        .collect();
    for stream in &mut streams {
        stream.write_all(b"x").expect("room");
    }
    for stream in &mut streams {
        let mut heard = [0];
        stream.read_exact(&mut heard).expect("an answer");
        assert_eq!(&heard, b"x");
    }
    assert_eq!(
        who(open_at(machine, "many", "80")).expect("an answer"),
        "many"
    );
    drop(streams);
    remove(machine, &["many"]);
}

/// A connection carries data while the engine is killed, and after.
fn engine_crash(machine: &Machine) {
    published(
        machine,
        "steady",
        &["-p", "127.0.0.1::80", "-p", "127.0.0.1::7"],
    );
    let (web, echo) = (
        open_at(machine, "steady", "80"),
        open_at(machine, "steady", "7"),
    );
    let mut stream = connect(echo).expect("a connection");
    let mut exchange = || {
        stream.write_all(b"beat").expect("the connection goes on");
        let mut heard = [0; 4];
        stream
            .read_exact(&mut heard)
            .expect("the connection goes on");
        assert_eq!(&heard, b"beat");
    };
    exchange();
    machine.kill_engine();
    for _ in 0..50 {
        exchange();
    }
    wait::until_true("another engine answers", LIMIT * 2, || {
        exchange();
        machine.docker(&["ps", "-q"]).code == 0
    });
    assert_eq!(open_at(machine, "steady", "80"), web);
    for _ in 0..50 {
        exchange();
    }
    assert_eq!(who(web).expect("an answer"), "steady");
    machine.docker(&["stop", "-t", "1", "steady"]).ok();
    assert!(connect(web).is_err(), "the port is still open");
    remove(machine, &["steady"]);
}
