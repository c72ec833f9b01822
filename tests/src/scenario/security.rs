//! What a container must not be able to do.

use crate::{Driver, Machine, Steps};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    steps.step("security: capabilities", || capabilities(machine));
    steps.step("security: system calls", || system_calls(machine));
    steps.step("security: masked and read-only paths", || paths(machine));
    steps.step("security: devices", || devices(machine));
    steps.step("security: namespaces", || namespaces(machine));
    steps.step("security: --privileged", || privileged(machine));
}

fn status(machine: &Machine, options: &[&str], field: &str) -> String {
    let text = machine.run(options, &["cat", "/proc/self/status"]).ok();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_default().trim().to_owned()
}

fn capabilities(machine: &Machine) {
    assert_eq!(status(machine, &[], "CapEff"), "00000000a80425fb");
    assert_eq!(status(machine, &[], "CapBnd"), "00000000a80425fb");
    assert_eq!(
        status(machine, &["-u", "1000"], "CapEff"),
        "0000000000000000"
    );
    assert_eq!(
        status(machine, &["--cap-drop", "ALL"], "CapEff"),
        "0000000000000000"
    );
    assert_eq!(
        status(machine, &["--cap-add", "NET_ADMIN"], "CapEff"),
        "00000000a80435fb"
    );
    assert_eq!(
        status(
            machine,
            &["--cap-drop", "ALL", "--cap-add", "CHOWN"],
            "CapEff"
        ),
        "0000000000000001"
    );
    let refused = machine
        .run(&["--cap-add", "NONSENSE"], &["true"])
        .exits(125);
    let _ = refused.complains("NONSENSE");
    assert_eq!(
        status(
            machine,
            &["--security-opt", "no-new-privileges"],
            "NoNewPrivs"
        ),
        "1"
    );
    let _ = machine
        .run(&[], &["hostname", "other"])
        .exits(1)
        .complains("Operation not permitted");
    let _ = machine
        .run(&[], &["mount", "-t", "tmpfs", "none", "/tmp"])
        .exits(1);
}

fn system_calls(machine: &Machine) {
    assert_eq!(status(machine, &[], "Seccomp"), "2");
    assert_eq!(
        status(
            machine,
            &["--security-opt", "seccomp=unconfined"],
            "Seccomp"
        ),
        "0"
    );
    for flag in ["-m", "-n", "-U"] {
        let _ = machine
            .run(&[], &["unshare", flag, "true"])
            .exits(1)
            .complains("Operation not permitted");
    }
}

fn paths(machine: &Machine) {
    for masked in ["/proc/kcore", "/proc/keys", "/proc/timer_list"] {
        let script = format!("[ ! -e {masked} ] || wc -c < {masked}");
        let text = machine.run(&[], &["sh", "-c", &script]).text();
        assert!(text.is_empty() || text == "0", "{masked}: {text}");
    }
    assert_eq!(
        machine
            .run(
                &[],
                &[
                    "sh",
                    "-c",
                    "ls -A /proc/acpi /sys/firmware 2>/dev/null | grep -v : | tr -d '\\n'"
                ]
            )
            .stdout,
        ""
    );
    for fixed in [
        "/proc/sys/kernel/shmmax",
        "/proc/sysrq-trigger",
        "/sys/kernel/profiling",
    ] {
        let script = format!("echo 1 > {fixed}");
        let ran = machine.run(&[], &["sh", "-c", &script]);
        assert_ne!(ran.code, 0, "{fixed} could be written");
        assert!(
            ran.stderr.contains("Read-only file system")
                || ran.stderr.contains("nonexistent")
                || ran.stderr.contains("Permission denied"),
            "{ran}"
        );
    }
    if machine.driver() == Driver::Docker {
        return; // With cgroup v1, Docker leaves that folder of its own writable.
    }
    let ran = machine.run(&[], &["mkdir", "/sys/fs/cgroup/mine"]).exits(1);
    let _ = ran.complains("Read-only file system");
}

fn devices(machine: &Machine) {
    let names = machine.run(&[], &["ls", "/dev"]).ok();
    let allowed = [
        "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm",
        "stderr", "stdin", "stdout", "tty", "urandom", "zero",
    ];
    for name in names.split_whitespace() {
        assert!(allowed.contains(&name), "/dev/{name} is there");
    }
    assert_eq!(
        machine
            .run(
                &[],
                &[
                    "sh",
                    "-c",
                    "echo x > /dev/null; head -c 3 /dev/zero | wc -c"
                ]
            )
            .text(),
        "3"
    );
    // mknod is allowed, using what it makes isn't: memory, disks, the link's port.
    for device in ["c 1 1", "b 254 0", "b 8 0", "c 10 229"] {
        let script = format!("mknod /tmp/d {device} && head -c 1 /tmp/d");
        let ran = machine.run(&[], &["sh", "-c", &script]);
        assert_ne!(ran.code, 0, "{device} could be read");
        assert!(
            ran.stderr.contains("Operation not permitted"),
            "{device}: {ran}"
        );
    }
}

fn namespaces(machine: &Machine) {
    // With cgroup v1, Docker shares the cgroup namespace.
    let script = match machine.driver() {
        Driver::Docker => "for n in ipc net pid uts; do readlink /proc/self/ns/$n; done",
        _ => "for n in ipc net pid uts cgroup; do readlink /proc/self/ns/$n; done",
    };
    let first = machine.run(&[], &["sh", "-c", script]).ok();
    let shared = [
        "--pid",
        "host",
        "--network",
        "host",
        "--ipc",
        "host",
        "--uts",
        "host",
        "--cgroupns",
        "host",
    ];
    let host = machine.run(&shared, &["sh", "-c", script]).ok();
    assert!(first.lines().count() >= 4, "{first}");
    for line in first.lines() {
        assert!(
            !host.lines().any(|other| other == line),
            "{line} is the machine's own"
        );
    }
    let root = machine.run(&[], &["ls", "/"]).ok();
    assert!(
        !root.contains("images") && !root.contains("slipway"),
        "{root}"
    );
    let mounts = machine.run(&[], &["cat", "/proc/self/mountinfo"]).ok();
    assert!(!mounts.contains("netns"), "{mounts}");
}

fn privileged(machine: &Machine) {
    let all = status(machine, &["--privileged"], "CapEff");
    let all = u64::from_str_radix(&all, 16).expect("hexadecimal digits");
    assert!(all.count_ones() >= 40, "{all:x}");
    assert_eq!(status(machine, &["--privileged"], "Seccomp"), "0");
    machine
        .run(&["--privileged"], &["mount", "-t", "tmpfs", "none", "/tmp"])
        .ok();
}
