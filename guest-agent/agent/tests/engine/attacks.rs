//! Known ways out of containers, tried against this engine. Each test is named for what the attack
//! would reach; the number of the published hole is beside it.

use std::path::Path;

use serde_json::json;

use crate::support::tarball::Tarball;
use crate::support::{Host, archive, host};

/// Loads an image with links that an attacker would put there.
fn load(host: &Host, name: &str, links: &[(&str, &str)]) {
    let archive = archive::image_with_links(name, &json!({ "Cmd": ["sh"] }), links).unwrap();
    let file = format!("{}.tar", name.replace(':', "-"));
    std::fs::write(host.dir.path().join(&file), archive).unwrap();
    host.docker(&["load", "-q", "-i", &host.path(&file)]).good();
}

fn warden() -> std::path::PathBuf {
    Path::new(env!("CARGO_BIN_EXE_slipway-agent")).with_file_name("slipway-warden")
}

/// CVE-2019-5736: a process of the container finds the runtime's program through `/proc/PID/exe`
/// of a process that is about to join it, keeps it open, and overwrites it later.
#[test]
fn the_runtimes_program_can_not_be_overwritten() {
    let host = host!();
    let before = std::fs::read(warden()).unwrap();
    // For every process that comes: open its program, and write to it through the descriptor.
    let hunt = "while [ ! -e /stop ]; do for p in /proc/[0-9]*; do \
        case \"$(readlink $p/exe)\" in /bin/busybox|'') ;; *) \
        (exec 9<$p/exe && echo seen && for i in 1 2 3; do echo overwritten > /proc/self/fd/9; done) \
        2>/dev/null;; esac; done; done; echo over";
    for (name, options) in [("plain", &[][..]), ("tracer", &["--cap-add", "SYS_PTRACE"])] {
        let mut args = vec!["run", "-d", "--name", name];
        args.extend(options);
        args.extend(["busybox", "sh", "-c", hunt]);
        host.docker(&args).good();
        for _ in 0..15 {
            host.docker(&["exec", name, "true"]).good();
            // The program itself as the command: its file would then be open inside.
            let _ = host.docker(&["exec", name, "/proc/self/exe"]);
        }
        // The container may end, and take the session along, before `touch` itself has ended.
        let touched = host.docker(&["exec", name, "touch", "/stop"]);
        assert!([0, 137].contains(&touched.code), "{touched:?}");
        host.until("the hunt is over", || {
            host.docker(&["logs", name]).stdout.ends_with("over\n")
        });
    }
    assert!(
        std::fs::read(warden()).unwrap() == before,
        "the warden's program was overwritten"
    );
    let itself = host.docker(&["run", "--rm", "busybox", "/proc/self/exe"]);
    itself.bad(126, "exec: \"/proc/self/exe\": permission denied");
    // Without the right to trace, nobody even sees it.
    let said = host.docker(&["logs", "plain"]).stdout;
    assert_eq!(said, "over\n");
}

/// CVE-2021-30465: while a container starts, another one swaps a directory of a shared volume for
/// a link, so that a mount lands outside of the root.
#[test]
fn a_mount_does_not_follow_a_link_that_comes_and_goes() {
    let host = host!();
    let shared = host.path("shared");
    std::fs::create_dir_all(format!("{shared}/dir/sub")).unwrap();
    let outside = host.path("outside");
    std::fs::create_dir_all(format!("{outside}/sub")).unwrap();
    std::fs::write(format!("{outside}/sub/secret"), "the machine's").unwrap();
    std::os::unix::fs::symlink(&outside, format!("{shared}/link")).unwrap();
    let bind = format!("{shared}:/shared");
    let swap = "cd /shared; while :; do mv dir away; mv link dir; mv dir link; mv away dir; done";
    host.docker(&[
        "run", "-d", "--name", "swapper", "-v", &bind, "busybox", "sh", "-c", swap,
    ])
    .good();
    for _ in 0..25 {
        // It may fail, when it meets the link; it may not see or change the machine's files.
        let output = host.docker(&[
            "run",
            "--rm",
            "-v",
            &bind,
            "--tmpfs",
            "/shared/dir/sub",
            "busybox",
            "sh",
            "-c",
            "cat /shared/dir/sub/secret; echo mine > /shared/dir/sub/new",
        ]);
        assert!(!output.stdout.contains("the machine's"), "{output:?}");
    }
    assert!(!Path::new(&format!("{outside}/sub/new")).exists());
    assert!(Path::new(&format!("{outside}/sub/secret")).exists());
    let mounts =
        std::fs::read_to_string(format!("/proc/{}/mounts", host.agent().unwrap())).unwrap();
    assert!(!mounts.contains(&outside), "{mounts}");
}

/// CVE-2024-21626: a working directory that is a descriptor of the machine's.
#[test]
fn no_descriptor_of_the_machine_comes_along() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "one", "busybox", "sleep", "1000"])
        .good();
    for number in 3..24 {
        for path in [
            format!("/proc/self/fd/{number}"),
            format!("/proc/1/fd/{number}"),
        ] {
            let run = host.docker(&["run", "--rm", "-w", &path, "busybox", "pwd"]);
            let exec = host.docker(&["exec", "-w", &path, "one", "pwd"]);
            assert!(run.code != 0 && exec.code != 0, "{path}: {run:?} {exec:?}");
        }
        // Docker tidies the path of a container up by its text, that of an exec not.
        let up = format!("/proc/self/fd/{number}/../../../..");
        let exec = host.docker(&["exec", "-w", &up, "one", "pwd"]);
        assert!(exec.code != 0, "{up}: {exec:?}");
    }
    // The fourth is the directory that `ls` itself reads.
    let list = ["ls", "/proc/self/fd"];
    let run = [&["run", "--rm", "busybox"][..], &list].concat();
    assert_eq!(host.docker(&run).good(), "0\n1\n2\n3");
    let exec = [&["exec", "one"][..], &list].concat();
    assert_eq!(host.docker(&exec).good(), "0\n1\n2\n3");
}

/// CVE-2025-31133: `/dev/null` of the image's making is what masked paths are covered with.
#[test]
fn masks_are_made_of_the_real_null_device() {
    let host = host!();
    load(
        &host,
        "null:1",
        &[
            ("dev/null", "/proc/sys/kernel/core_pattern"),
            ("dev/zero", "/proc/sysrq-trigger"),
        ],
    );
    let pattern = std::fs::read("/proc/sys/kernel/core_pattern").unwrap();
    let script = "stat -c '%t:%T' /proc/keys /dev/null; echo '|/evil' > /proc/keys; \
        echo '|/evil' > /dev/null; cat /proc/keys";
    let output = host.docker(&["run", "--rm", "null:1", "sh", "-c", script]);
    assert_eq!(output.stdout, "1:3\n1:3\n", "{output:?}");
    assert_eq!(
        std::fs::read("/proc/sys/kernel/core_pattern").unwrap(),
        pattern
    );
    // A whole `/dev` of the attacker's: the covers are still the real device.
    let dev = host.path("dev");
    std::fs::create_dir(&dev).unwrap();
    for name in ["null", "console", "zero"] {
        std::os::unix::fs::symlink("/proc/sysrq-trigger", format!("{dev}/{name}")).unwrap();
    }
    let bind = format!("{dev}:/dev");
    let script = "stat -c '%t:%T' /proc/keys";
    let output = host.docker(&["run", "--rm", "-v", &bind, "busybox", "sh", "-c", script]);
    if output.code == 0 {
        assert_eq!(output.stdout, "1:3\n", "{output:?}");
    } else {
        assert!(output.stderr.contains("/dev/null"), "{output:?}");
    }
}

/// CVE-2025-52565: the terminal is bound on `/dev/console`, which a link leads elsewhere.
#[test]
fn the_console_is_not_bound_through_a_link() {
    let host = host!();
    load(
        &host,
        "console:1",
        &[("dev/console", "/proc/sysrq-trigger")],
    );
    let script =
        "grep -c ' /dev/console devpts ' /proc/mounts; grep -c 'trigger devpts' /proc/mounts";
    let output = host.docker(&["run", "--rm", "-t", "console:1", "sh", "-c", script]);
    assert_eq!(output.stdout.replace('\r', ""), "1\n0\n", "{output:?}");
    // A `/dev` of the attacker's, in which the console leads to a file.
    let dev = host.path("dev");
    std::fs::create_dir_all(format!("{dev}/pts")).unwrap();
    std::os::unix::fs::symlink("/target", format!("{dev}/console")).unwrap();
    let bind = format!("{dev}:/dev");
    let script = "grep -c /target /proc/mounts";
    let output = host.docker(&[
        "run", "--rm", "-t", "-v", &bind, "busybox", "sh", "-c", script,
    ]);
    assert!(
        output.code != 0 && !output.stdout.starts_with('1'),
        "{output:?}"
    );
}

/// CVE-2025-52881: a write to `/proc` goes elsewhere, because something was mounted there.
#[test]
fn nothing_is_mounted_where_the_runtime_writes() {
    let host = host!();
    let file = host.path("caught");
    std::fs::write(&file, "unchanged").unwrap();
    let bind = |target: &str| format!("{file}:{target}");
    for target in [
        "/proc/sys/net/ipv4/ip_default_ttl",
        "/proc/self/attr/current",
        "/proc/self/oom_score_adj",
    ] {
        let output = host.docker(&[
            "run",
            "--rm",
            "--sysctl",
            "net.ipv4.ip_default_ttl=77",
            "-v",
            &bind(target),
            "busybox",
            "true",
        ]);
        assert!(output.code != 0, "{target}: {output:?}");
    }
    let output = host.docker(&["run", "--rm", "--tmpfs", "/proc/sys", "busybox", "true"]);
    output.bad(
        125,
        "\"/proc/sys\" cannot be mounted because it is inside /proc",
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"unchanged");
    // What lxcfs and its kind cover is allowed.
    let output = host.docker(&[
        "run",
        "--rm",
        "-v",
        &bind("/proc/uptime"),
        "busybox",
        "cat",
        "/proc/uptime",
    ]);
    assert_eq!(output.good(), "unchanged");
}

/// CVE-2023-27561, CVE-2023-28642: `/proc` or `/sys` of the image is a link to a place where the
/// masks and the runtime's checks do not reach.
#[test]
fn kernel_file_systems_are_mounted_on_directories_only() {
    let host = host!();
    for (number, path) in ["proc", "sys", "dev"].into_iter().enumerate() {
        let name = format!("link:{number}");
        load(&host, &name, &[(path, "/data")]);
        // As with Docker, a directory of the engine's own takes the link's place.
        let look = format!("test ! -L /{path} && grep -q ' /{path} ' /proc/self/mountinfo");
        host.docker(&["run", "--rm", &name, "sh", "-c", &look])
            .good();
        // A link that comes later, by somebody who copies it in, is seen at the start.
        let container = format!("late-{path}");
        host.docker(&["create", "--name", &container, "busybox", "true"])
            .good();
        let archive = Tarball::default().entry(b'2', path, "data", b"").end();
        let put = format!("/containers/{container}/archive?path=/");
        assert_eq!(host.send("PUT", &put, &archive).status, 200);
        host.docker(&["start", &container]).bad(
            1,
            &format!("the image's \"/{path}\" is not an ordinary directory"),
        );
    }
}
