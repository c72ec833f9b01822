//! Attached clients: framing, input, terminals, back-pressure.

use std::io::{Read, Write};
use std::net::Shutdown;

use std::os::fd::AsFd;
use warden::protocol::{AttachStreams, Call, Outcome};

use crate::support::{Warden, eventually, pair, read_all};

#[test]
fn input_ends_with_the_clients() {
    let mut warden = Warden::start();
    let mut spec = warden.spec("cat", &["cat"]);
    spec.process.open_stdin = true;
    spec.process.stdin_once = true;
    let (target, client) = warden.launch(spec, true).unwrap();
    let text = "line\n".repeat(100_000);
    let sender = {
        let (mut client, text) = (client.try_clone().unwrap(), text.clone());
        std::thread::spawn(move || {
            client.write_all(text.as_bytes()).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        })
    };
    client.set_nonblocking(false).unwrap();
    let (out, _) = read_all(client, false);
    sender.join().unwrap();
    assert!(out == text, "{} of {} bytes", out.len(), text.len());
    assert_eq!(warden.wait(&target).code, 0);
}

#[test]
fn without_stdin_once_the_input_stays_open() {
    let mut warden = Warden::start();
    let mut spec = warden.spec("open", &["sh", "-c", "read a; read b; echo $a-$b"]);
    spec.process.open_stdin = true;
    let (target, client) = warden.launch(spec, true).unwrap();
    let mut first = client.try_clone().unwrap();
    first.write_all(b"one\n").unwrap();
    first.shutdown(Shutdown::Write).unwrap();
    let (mut second, theirs) = pair();
    let call = Call::Attach {
        target: target.clone(),
        streams: AttachStreams {
            stdin: true,
            stdout: false,
            stderr: false,
            raw: false,
        },
    };
    assert!(matches!(
        warden.call(call, &[theirs.as_fd()]),
        Outcome::Done
    ));
    drop(theirs);
    second.write_all(b"two\n").unwrap();
    assert_eq!(read_all(client, false).0, "one-two\n");
    assert_eq!(warden.wait(&target).code, 0);
    let mut nothing = Vec::new();
    second.read_to_end(&mut nothing).unwrap();
    assert!(nothing.is_empty());
}

#[test]
fn no_input_is_the_null_device() {
    let mut warden = Warden::start();
    assert_eq!(
        warden.sh("null", "readlink /proc/self/fd/0; cat | wc -c"),
        "/dev/null\n0\n"
    );
}

#[test]
fn a_terminal_is_the_containers_own() {
    let mut warden = Warden::start();
    let line =
        "tty; stty size; ls -l /dev/console | cut -c1; echo x > /dev/tty; test -t 0 && echo yes";
    let mut spec = warden.spec("tty", &["sh", "-c", line]);
    spec.process.tty = true;
    spec.process.console_size = Some((33, 99));
    let (code, out, _) = warden.run(spec);
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("/dev/pts/0\r\n33 99\r\n"), "{out}");
    assert!(out.ends_with("x\r\nyes\r\n"), "{out}");
}

#[test]
fn typing_resizing_and_interrupting() {
    let mut warden = Warden::start();
    let line = "trap 'stty size' WINCH; trap 'echo int; exit 3' INT; echo ready; \
        while :; do read a && echo got $a; done";
    let mut spec = warden.spec("typed", &["sh", "-c", line]);
    spec.process.tty = true;
    spec.process.open_stdin = true;
    let (target, mut client) = warden.launch(spec, true).unwrap();
    let mut seen = String::new();
    let mut until = |client: &mut std::os::unix::net::UnixStream, wanted: &str| {
        let mut bytes = [0; 256];
        while !seen.contains(wanted) {
            let count = client.read(&mut bytes).unwrap();
            assert!(count > 0, "{wanted:?} not in {seen:?}");
            seen.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    };
    until(&mut client, "ready");
    client.write_all(b"hello\n").unwrap();
    until(&mut client, "got hello");
    warden.done(Call::Resize {
        target: target.clone(),
        rows: 12,
        cols: 34,
    });
    // A shell runs its trap once the read is over.
    client.write_all(b"more\n").unwrap();
    until(&mut client, "12 34");
    client.write_all(b"\x03").unwrap();
    client.write_all(b"\n").unwrap();
    until(&mut client, "int");
    assert_eq!(warden.wait(&target).code, 3);
}

#[test]
fn a_slow_client_holds_the_container_back_and_loses_nothing() {
    let mut warden = Warden::start();
    let line =
        "i=0; while [ $i -lt 20 ]; do head -c 1000000 /dev/zero; i=$((i+1)); done; touch /over";
    let spec = warden.spec("slow", &["sh", "-c", line]);
    let over = warden.dir.path().join("slow/upper/over");
    let log = warden.dir.path().join("slow/log");
    let (target, mut client) = warden.launch(spec, false).unwrap();
    let size = || std::fs::metadata(&log).map_or(0, |data| data.len());
    let mut last = 0;
    eventually("the output stops", || {
        let _ = warden.list();
        let now = size();
        let still = now > 0 && now == last;
        last = now;
        still
    });
    assert!(
        !over.exists(),
        "20 MB can't be anywhere but with the container"
    );
    let mut received = 0;
    let mut header = [0; 8];
    while let Ok(()) = client.read_exact(&mut header) {
        let length = u32::from_be_bytes(header[4..].try_into().unwrap()) as usize;
        let mut frame = vec![1; length];
        client.read_exact(&mut frame).unwrap();
        assert!(frame.iter().all(|byte| *byte == 0));
        received += length;
    }
    assert_eq!(received, 20_000_000);
    assert_eq!(warden.wait(&target).code, 0);
    assert!(over.exists());
}

#[test]
fn a_client_that_leaves_does_not_stop_the_container() {
    let mut warden = Warden::start();
    let line =
        "i=0; while [ $i -lt 200 ]; do head -c 10000 /dev/zero; i=$((i+1)); done; echo end >&2";
    let spec = warden.spec("left", &["sh", "-c", line]);
    let (target, client) = warden.launch(spec, false).unwrap();
    drop(client);
    assert_eq!(warden.wait(&target).code, 0);
    let log = std::fs::read_to_string(warden.dir.path().join("left/log")).unwrap();
    let zeros = log.matches("\\u0000").count();
    assert_eq!(zeros, 2_000_000);
    assert!(log.contains(r#"{"log":"end\n","stream":"stderr""#));
}
