//! From `run -d` to `rm`: ps, logs, stop, kill, wait, start, events.

use std::time::Duration;

use crate::busybox;
use crate::{Machine, Steps, wait};

/// Says `ready`, then a line a tick, and ends with 3 when asked to terminate.
const SERVICE: &str =
    "trap 'echo bye; exit 3' TERM; echo ready; echo oops >&2; while :; do sleep 1 & wait $!; done";

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    steps.step("run -d, ps, inspect", || detached(machine));
    steps.step("logs", || logs(machine));
    steps.step("logs -f", || follow(machine));
    steps.step("stop and start", || stop_and_start(machine));
    steps.step("stop of one that won't", || stubborn(machine));
    steps.step("kill", || kill(machine));
    steps.step("wait", || waiting(machine));
    steps.step("create, start -a, attach", || attach(machine));
    steps.step("rm", || remove(machine));
    steps.step("missing containers", || missing(machine));
    steps.step("events", || events(machine));
    steps.step("rm -f of many", || many(machine));
}

fn inspect(machine: &Machine, name: &str, format: &str) -> String {
    machine
        .docker(&["inspect", "--format", format, name])
        .text()
}

fn detached(machine: &Machine) {
    let id = machine.run_detached(&["--name", "web"], &["sh", "-c", SERVICE]);
    assert_eq!(id.len(), 64, "{id}");
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let format = "{{.ID}}|{{.Names}}|{{.Image}}|{{.State}}|{{.Status}}";
    let line = machine.docker(&["ps", "--format", format]).text();
    assert!(
        line.starts_with(&format!("{}|web|{}|running|Up ", &id[..12], busybox::NAME)),
        "{line}"
    );
    let table = machine.docker(&["ps"]).ok();
    assert!(
        table.starts_with("CONTAINER ID") && table.contains("\"sh -c 'trap 'echo b"),
        "{table}"
    );
    let state = inspect(
        machine,
        "web",
        "{{.Id}} {{.Name}} {{.State.Status}} {{.State.Running}} {{.HostConfig.AutoRemove}} {{.Path}}",
    );
    assert_eq!(state, format!("{id} /web running true false sh"));
    let pid: u32 = inspect(machine, &id[..6], "{{.State.Pid}}")
        .parse()
        .expect("a number");
    assert!(pid > 1);
    assert_eq!(machine.docker(&["port", "web"]).text(), "");
}

fn logs(machine: &Machine) {
    wait::until_true("the service has spoken", Duration::from_secs(30), || {
        let ran = machine.docker(&["logs", "web"]);
        ran.stdout == "ready\n" && ran.stderr == "oops\n"
    });
    assert_eq!(machine.docker(&["logs", "--tail", "0", "web"]).ok(), "");
    let stamped = machine.docker(&["logs", "-t", "web"]).ok();
    let (stamp, words) = stamped.trim().split_once(' ').expect("a stamp and words");
    assert_eq!(words, "ready");
    assert!(
        stamp.starts_with("20") && stamp.ends_with('Z') && stamp.len() == 30,
        "{stamp}"
    );

    let id = machine.run_detached(
        &[],
        &[
            "sh",
            "-c",
            "for i in 1 2 3 4 5; do echo $i; done; printf end",
        ],
    );
    machine.docker(&["wait", &id]).ok();
    assert_eq!(machine.docker(&["logs", &id]).ok(), "1\n2\n3\n4\n5\nend");
    assert_eq!(machine.docker(&["logs", "--tail", "2", &id]).ok(), "5\nend");
    assert_eq!(
        machine.docker(&["logs", "--since", "1h", &id]).ok(),
        "1\n2\n3\n4\n5\nend"
    );
    assert_eq!(machine.docker(&["logs", "--until", "1h", &id]).ok(), "");
    machine.docker(&["rm", &id]).ok();
}

fn follow(machine: &Machine) {
    let script = "echo one; until [ -e /go ]; do usleep 50000; done; echo two; until [ -e /end ]; do usleep 50000; done";
    let id = machine.run_detached(&[], &["sh", "-c", script]);
    let mut following = machine.docker_command(&["logs", "-f", &id]).start();
    following.wait_for("one\n");
    machine.docker(&["exec", &id, "touch", "/go"]).ok();
    following.wait_for("two\n");
    machine.docker(&["exec", &id, "touch", "/end"]).ok();
    assert_eq!(following.wait(), 0);
    assert_eq!(following.output(), "one\ntwo\n");
    machine.docker(&["rm", "-f", &id]).ok();
}

fn stop_and_start(machine: &Machine) {
    assert_eq!(machine.docker(&["stop", "web"]).text(), "web");
    assert_eq!(
        inspect(
            machine,
            "web",
            "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}"
        ),
        "exited 3 0"
    );
    assert_eq!(machine.docker(&["ps", "-q"]).text(), "");
    let line = machine
        .docker(&[
            "ps",
            "-a",
            "--filter",
            "name=web",
            "--format",
            "{{.Status}}",
        ])
        .text();
    assert!(line.starts_with("Exited (3) "), "{line}");
    // Stopping what is stopped is fine.
    machine.docker(&["stop", "web"]).ok();
    assert_eq!(machine.docker(&["start", "web"]).text(), "web");
    wait::until_true(
        "the log has the second run",
        Duration::from_secs(30),
        || machine.docker(&["logs", "web"]).stdout == "ready\nbye\nready\n",
    );
    assert_eq!(machine.docker(&["restart", "web"]).text(), "web");
    assert_eq!(inspect(machine, "web", "{{.State.Running}}"), "true");
}

fn stubborn(machine: &Machine) {
    let script = "trap '' TERM; echo up; while :; do sleep 1; done";
    let id = machine.run_detached(&[], &["sh", "-c", script]);
    wait::until_true("the trap is set", Duration::from_secs(30), || {
        machine.docker(&["logs", &id]).stdout == "up\n"
    });
    let begun = std::time::Instant::now();
    machine.docker(&["stop", "-t", "1", &id]).ok();
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(
        inspect(machine, &id, "{{.State.ExitCode}} {{.State.OOMKilled}}"),
        "137 false"
    );
    machine.docker(&["rm", &id]).ok();
}

fn kill(machine: &Machine) {
    let waiting = machine.docker_command(&["wait", "web"]).start();
    assert_eq!(machine.docker(&["kill", "web"]).text(), "web");
    waiting.wait_for("137");
    let refused = machine.docker(&["kill", "web"]).exits(1);
    let _ = refused.complains("is not running");
    machine.docker(&["start", "web"]).ok();
    machine.docker(&["kill", "-s", "TERM", "web"]).ok();
    assert_eq!(machine.docker(&["wait", "web"]).text(), "3");
    let refused = machine.docker(&["kill", "-s", "NONSENSE", "web"]).exits(1);
    let _ = refused.complains("NONSENSE");
}

fn waiting(machine: &Machine) {
    let id = machine.run_detached(&[], &["sh", "-c", "exit 9"]);
    assert_eq!(machine.docker(&["wait", &id]).text(), "9");
    assert_eq!(machine.docker(&["wait", &id]).text(), "9");
    machine.docker(&["rm", &id]).ok();
}

fn attach(machine: &Machine) {
    let id = machine
        .docker(&[
            "create",
            "-i",
            "--name",
            "talk",
            busybox::NAME,
            "sh",
            "-c",
            "read x; echo got $x; exit 4",
        ])
        .text();
    assert_eq!(
        inspect(machine, "talk", "{{.State.Status}} {{.Id}}"),
        format!("created {id}")
    );
    let ran = machine
        .docker_command(&["start", "-ai", "talk"])
        .input("words\n")
        .run();
    assert_eq!(ran.exits(4).stdout, "got words\n");

    let script = "until [ -e /go ]; do echo waiting; usleep 50000; done; echo here; exit 6";
    let id = machine.run_detached(&[], &["sh", "-c", script]);
    let mut attached = machine.docker_command(&["attach", &id]).start();
    attached.wait_for("waiting");
    machine.docker(&["exec", &id, "touch", "/go"]).ok();
    attached.wait_for("here");
    assert_eq!(attached.wait(), 6);
    machine.docker(&["rm", &id, "talk"]).ok();
}

fn remove(machine: &Machine) {
    machine.docker(&["start", "web"]).ok();
    let refused = machine.docker(&["rm", "web"]).exits(1);
    let _ = refused.complains("cannot remove container \"web\": container is running: stop the container before removing or force remove");
    machine.docker(&["stop", "web"]).ok();
    assert_eq!(machine.docker(&["rm", "web"]).text(), "web");
    assert_eq!(machine.docker(&["ps", "-aq"]).text(), "");
}

fn missing(machine: &Machine) {
    for verb in ["start", "stop", "kill", "rm", "logs", "wait"] {
        let ran = machine.docker(&[verb, "nowhere"]).exits(1);
        let _ = ran.complains("No such container: nowhere");
    }
    let ran = machine.docker(&["inspect", "nowhere"]).exits(1);
    let _ = ran.complains("No such object: nowhere");
}

fn events(machine: &Machine) {
    let format = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}";
    let live = machine
        .docker_command(&[
            "events",
            "--format",
            format,
            "--filter",
            "container=eventful",
        ])
        .start();
    let since = machine
        .docker(&["info", "--format", "{{.SystemTime}}"])
        .text();
    machine.run(&["--name", "eventful"], &["sh", "-c", "exit 2"]);
    live.wait_for("container destroy eventful");
    let until = machine
        .docker(&["info", "--format", "{{.SystemTime}}"])
        .text();
    let past = machine
        .docker(&[
            "events",
            "--since",
            &since,
            "--until",
            &until,
            "--format",
            "{{.Type}} {{.Action}} {{.Actor.Attributes.exitCode}}",
            "--filter",
            "container=eventful",
        ])
        .ok();
    let actions: Vec<&str> = past
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    let wanted = ["create", "start", "die", "destroy"];
    let mut rest = actions.iter();
    assert!(
        wanted
            .iter()
            .all(|action| rest.any(|found| found == action)),
        "{past}"
    );
    assert!(past.contains("container die 2"), "{past}");
}

fn many(machine: &Machine) {
    let ids: Vec<String> = (0..5)
        .map(|_| machine.run_detached(&[], &["sleep", "1000"]))
        .collect();
    assert_eq!(machine.docker(&["ps", "-q"]).text().lines().count(), 5);
    let mut args = vec!["rm", "-f"];
    args.extend(ids.iter().map(String::as_str));
    machine.docker(&args).ok();
    assert_eq!(machine.docker(&["ps", "-aq"]).text(), "");
}
