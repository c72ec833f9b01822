//! `docker exec`.

use crate::busybox;
use crate::{Machine, Steps};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    let id = machine.run_detached(&["--name", "host", "-e", "FROM_RUN=1"], &["sleep", "1000"]);
    steps.step("exec", || simple(machine));
    steps.step("exec -i", || input(machine));
    steps.step("exec -it", || terminal(machine));
    steps.step("exec: errors", || errors(machine, &id));
    steps.step("exec -d", || detached(machine));
    machine.docker(&["rm", "-f", "host"]).ok();
}

fn simple(machine: &Machine) {
    let exec = |args: &[&str]| {
        let mut all = vec!["exec"];
        all.extend(args);
        machine.docker(&all)
    };
    let ran = exec(&["host", "sh", "-c", "echo out; echo err >&2; exit 9"]).exits(9);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
    let env = exec(&["-e", "NEW=2", "host", "env"]).ok();
    assert!(env.contains("FROM_RUN=1") && env.contains("NEW=2"), "{env}");
    assert_eq!(
        exec(&[
            "-w",
            "/etc",
            "-u",
            "sailor",
            "host",
            "sh",
            "-c",
            "pwd; id -u"
        ])
        .ok(),
        "/etc\n1000\n"
    );
    // It is in the same namespaces and the same cgroup.
    assert_eq!(exec(&["host", "sh", "-c", "readlink /proc/1/ns/pid; readlink /proc/self/ns/pid; readlink /proc/1/ns/net; readlink /proc/self/ns/net"]).ok().lines().collect::<std::collections::BTreeSet<_>>().len(), 2);
    assert_eq!(
        exec(&["host", "cat", "/proc/1/cmdline"])
            .text()
            .replace('\0', " ")
            .trim(),
        "sleep 1000"
    );
    let caps = exec(&["host", "grep", "CapEff", "/proc/self/status"]).text();
    assert!(caps.ends_with("00000000a80425fb"), "{caps}");
}

fn input(machine: &Machine) {
    let ran = machine
        .docker_command(&["exec", "-i", "host", "wc", "-c"])
        .input(vec![b'x'; 300_000])
        .run();
    assert_eq!(ran.text(), "300000");
}

fn terminal(machine: &Machine) {
    let mut terminal = machine.docker_terminal(&["exec", "-it", "host", "sh"]);
    terminal.wait_for("/ # ");
    terminal.type_in("echo $((6*7))-$(stty size | wc -w)\r");
    terminal.wait_for("42-2");
    terminal.type_in("exit 8\r");
    assert_eq!(terminal.wait(), 8, "{}", terminal.screen());
}

fn errors(machine: &Machine, id: &str) {
    let ran = machine.docker(&["exec", "host", "nonesuch"]).exits(127);
    let both = format!("{}{}", ran.stdout, ran.stderr);
    assert!(
        both.contains("exec: \"nonesuch\": executable file not found in $PATH"),
        "{both}"
    );
    let ran = machine.docker(&["exec", "host", "/etc/passwd"]).exits(126);
    let both = format!("{}{}", ran.stdout, ran.stderr);
    assert!(both.contains("permission denied"), "{both}");
    let _ = machine
        .docker(&["exec", "nowhere", "true"])
        .exits(1)
        .complains("No such container: nowhere");
    let stopped = machine.docker(&["create", busybox::NAME]).text();
    let ran = machine.docker(&["exec", &stopped, "true"]).exits(1);
    let _ = ran.complains(&format!("container {stopped} is not running"));
    machine.docker(&["rm", &stopped]).ok();
    assert_eq!(
        machine
            .docker(&["inspect", "--format", "{{.State.Running}}", id])
            .text(),
        "true"
    );
}

fn detached(machine: &Machine) {
    assert_eq!(
        machine
            .docker(&["exec", "-d", "host", "sh", "-c", "echo done > /tmp/proof"])
            .text(),
        ""
    );
    crate::wait::until_true(
        "the detached command has run",
        std::time::Duration::from_secs(30),
        || {
            machine
                .docker(&["exec", "host", "cat", "/tmp/proof"])
                .stdout
                == "done\n"
        },
    );
}
