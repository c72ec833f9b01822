//! logs: what a container wrote, then and now.

use crate::support::host;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn logs_are_split_cut_and_stamped() {
    let host = host!();
    let script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done";
    host.docker(&["run", "--name", "wrote", "busybox", "sh", "-c", script]);
    let output = host.docker(&["logs", "wrote"]);
    assert_eq!(output.stdout, "out 1\nout 2\nout 3\n");
    assert_eq!(output.stderr, "err 1\nerr 2\nerr 3\n");
    let output = host.docker(&["logs", "--tail", "2", "wrote"]);
    assert_eq!(
        output.stdout.lines().count() + output.stderr.lines().count(),
        2
    );
    let stamped = host.docker(&["logs", "-t", "wrote"]).stdout;
    let first = stamped.lines().next().unwrap();
    let (stamp, text) = first.split_once(' ').unwrap();
    assert_eq!(text, "out 1");
    assert_eq!(
        stamp.len(),
        "2026-11-23T06:47:02.859942124Z".len(),
        "{stamp}"
    );
    assert_eq!(
        host.docker(&["logs", "--since", "2100-01-01", "wrote"])
            .stdout,
        ""
    );
    assert_eq!(
        host.docker(&["logs", "--until", "2000-01-01", "wrote"])
            .stdout,
        ""
    );
}

#[test]
fn follow_goes_on_until_the_container_ends() {
    let host = host!();
    let script = "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo last";
    host.docker(&[
        "run", "-d", "--name", "writes", "busybox", "sh", "-c", script,
    ])
    .good();
    let mut follow = host
        .command(&["logs", "-f", "writes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    host.docker(&["exec", "writes", "touch", "/go"]).good();
    assert_eq!(lines.next().unwrap().unwrap(), "last");
    assert!(lines.next().is_none());
    assert!(follow.wait().unwrap().success());
}

#[test]
fn drivers_rotate_and_switch_off() {
    let host = host!();
    let script =
        "for i in $(seq 200); do echo 0123456789012345678901234567890123456789; done; echo the end";
    host.docker(&[
        "run",
        "--name",
        "small",
        "--log-opt",
        "max-size=2k",
        "--log-opt",
        "max-file=2",
        "busybox",
        "sh",
        "-c",
        script,
    ])
    .good();
    let log = host.docker(&["logs", "small"]).good();
    assert!(
        log.ends_with("the end") && log.lines().count() < 100,
        "{}",
        log.lines().count()
    );
    host.docker(&[
        "run",
        "--name",
        "mute",
        "--log-driver",
        "none",
        "busybox",
        "echo",
        "x",
    ])
    .good();
    host.docker(&["logs", "mute"])
        .bad(1, "configured logging driver does not support reading");
}

#[test]
fn clients_that_leave_are_noticed() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "quiet", "busybox", "sleep", "1000"])
        .good();
    let agent = host.agent().expect("the agent runs");
    let open = || {
        std::fs::read_dir(format!("/proc/{agent}/fd"))
            .unwrap()
            .count()
    };
    let before = open();
    let waiting: [&[&str]; 3] = [&["logs", "-f", "quiet"], &["events"], &["wait", "quiet"]];
    let mut clients: Vec<_> = waiting
        .iter()
        .map(|args| host.command(args).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    host.until("they are connected", || open() > before + clients.len());
    for client in &mut clients {
        client.kill().unwrap();
        client.wait().unwrap();
    }
    host.until("all that they held is free", || open() <= before);
}
