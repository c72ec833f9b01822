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

/// Lines of many lengths, some far longer than a piece, and bytes of all values.
const WILD: &str = "printf 'short\\n'; head -c 50000 /dev/zero | tr '\\0' x; echo; \
    for i in $(seq 0 255); do printf \"\\\\x$(printf %x $i)\"; done; echo; printf 'no end'";

#[test]
fn every_driver_gives_back_what_was_written() {
    let host = host!();
    host.docker(&["run", "--name", "json", "busybox", "sh", "-c", WILD])
        .good();
    host.docker(&[
        "run",
        "--name",
        "local",
        "--log-driver",
        "local",
        "busybox",
        "sh",
        "-c",
        WILD,
    ])
    .good();
    let raw = |name: &str, more: &[&str]| {
        let mut args = vec!["logs"];
        args.extend(more);
        args.push(name);
        host.command(&args).output().unwrap().stdout
    };
    let written = raw("local", &[]);
    // Our format keeps bytes as they are; JSON knows only text.
    assert!(written.contains(&0xff) && written.ends_with(b"no end"));
    assert_eq!(written.len(), 6 + 50_001 + 257 + 6);
    let text = String::from_utf8(raw("json", &[])).unwrap();
    assert_eq!(text, String::from_utf8_lossy(&written));
    assert!(text.contains('\u{fffd}'));
    for name in ["json", "local"] {
        assert_eq!(raw(name, &["--tail", "1"]), b"no end", "{name}");
        // Pieces of 16 KiB count as lines of their own, as with dockerd.
        let stamped = String::from_utf8_lossy(&raw(name, &["-t"])).into_owned();
        assert_eq!(
            stamped.matches("xxx 2").count() + stamped.matches("xxx2").count(),
            3,
            "{name}"
        );
    }
    assert!(host.field("json", ".LogPath").ends_with("-json.log"));
    assert_eq!(host.field("local", ".LogPath"), "");
    assert_eq!(host.field("local", ".HostConfig.LogConfig.Type"), "local");
}

#[test]
fn compressed_files_are_part_of_the_log() {
    let host = host!();
    for (name, options) in [
        (
            "json",
            ["--log-driver", "json-file", "--log-opt", "compress=true"],
        ),
        (
            "local",
            ["--log-driver", "local", "--log-opt", "max-file=50"],
        ),
    ] {
        let mut args = vec!["run", "-d", "--name", name];
        args.extend(options);
        if name == "json" {
            args.extend(["--log-opt", "max-file=50"]);
        }
        args.extend(["--log-opt", "max-size=20k", "busybox", "sh", "-c"]);
        args.push("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; sleep 1000");
        host.docker(&args).good();
        let mut follow = host
            .command(&["logs", "-f", name])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(follow.stdout.take().unwrap()).lines();
        let wanted = (0..3000).map(|number| format!("line {number}"));
        for (wanted, line) in wanted.zip(lines) {
            assert_eq!(line.unwrap(), wanted, "{name}");
        }
        follow.kill().unwrap();
        follow.wait().unwrap();
        let id = host.field(name, ".Id");
        let dir = host.path(&format!("root/containers/{id}"));
        host.until("what was rotated is compressed", || {
            let names: Vec<String> = std::fs::read_dir(&dir)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .filter(|name| name.contains("log."))
                .collect();
            names.len() > 2 && names.iter().all(|name| name.ends_with(".gz"))
        });
        let log = host.docker(&["logs", name]).good();
        assert_eq!(log.lines().count(), 3000, "{name}");
        let tail = host.docker(&["logs", "--tail", "2500", name]).good();
        assert_eq!(tail.lines().next(), Some("line 500"), "{name}");
        assert_eq!(tail.lines().last(), Some("line 2999"), "{name}");
    }
}

#[test]
fn details_show_labels_environment_and_tag() {
    let host = host!();
    host.docker(&[
        "run",
        "--name",
        "told",
        "--label",
        "team=a b",
        "--label",
        "other=x",
        "-e",
        "MODE=fast",
        "--log-opt",
        "labels=team,none",
        "--log-opt",
        "env-regex=^MO",
        "--log-opt",
        "tag={{.Name}}/{{.ImageName}}",
        "busybox",
        "echo",
        "hello",
    ])
    .good();
    assert_eq!(
        host.docker(&["logs", "--details", "told"]).good(),
        "MODE=fast,tag=told%2Fbusybox,team=a+b hello"
    );
    let file = std::fs::read_to_string(host.field("told", ".LogPath")).unwrap();
    assert!(
        file.contains(r#","attrs":{"MODE":"fast","tag":"told/busybox","team":"a b"},"time":"#),
        "{file}"
    );
    let refused = |option: &str, words: &str| {
        host.docker(&["create", "--log-opt", option, "busybox"])
            .bad(1, words);
    };
    refused(
        "nonsense=1",
        "unknown log opt 'nonsense' for json-file log driver",
    );
    // As with Docker, values are looked at with the start.
    host.docker(&["run", "--log-opt", "max-file=0", "busybox"])
        .bad(
            125,
            "failed to initialize logging driver: max-file cannot be less than 1",
        );
}
