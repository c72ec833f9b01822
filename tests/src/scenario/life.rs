//! What becomes of containers over time: health, restarts, logs that rotate, names, pruning.

use std::time::Duration;

use crate::busybox;
use crate::{Machine, Steps, wait};

/// A machine without acceleration is slow.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    steps.step("health checks", || health(machine));
    steps.step("restart policies", || restarts(machine));
    steps.step("restart of one with --rm", || restart_with_rm(machine));
    steps.step("log drivers", || drivers(machine));
    steps.step("logs of long lines", || long_lines(machine));
    steps.step("pause and its words", || pause(machine));
    steps.step("rename", || rename(machine));
    steps.step("ps filters", || filters(machine));
    steps.step("sizes", || sizes(machine));
    steps.step("container prune", || prune(machine));
}

fn field(machine: &Machine, name: &str, field: &str) -> String {
    let format = format!("{{{{{field}}}}}");
    machine
        .docker(&["inspect", "--format", &format, name])
        .text()
}

/// Runs a container to its end and leaves it.
fn keep(machine: &Machine, options: &[&str], command: &[&str]) {
    let mut args = vec!["run"];
    args.extend(options);
    args.push(busybox::NAME);
    args.extend(command);
    machine.docker(&args).ok();
}

fn names(machine: &Machine, more: &[&str]) -> String {
    let mut args = vec!["ps", "--format", "{{.Names}}"];
    args.extend(more);
    machine.docker(&args).text().replace('\n', " ")
}

fn health(machine: &Machine) {
    machine.run_detached(
        &[
            "--name",
            "checked",
            "--health-cmd",
            "echo looking; test -e /well",
            "--health-interval",
            "500ms",
            "--health-retries",
            "2",
        ],
        &["sleep", "1000"],
    );
    let is = |status: &str| field(machine, "checked", ".State.Health.Status") == status;
    wait::until_true("it is unhealthy", PATIENCE, || is("unhealthy"));
    assert_eq!(names(machine, &["--filter", "health=unhealthy"]), "checked");
    assert_eq!(
        field(machine, "checked", "(index .State.Health.Log 0).Output"),
        "looking"
    );
    machine.docker(&["exec", "checked", "touch", "/well"]).ok();
    wait::until_true("it is healthy", PATIENCE, || is("healthy"));
    let status = machine.docker(&["ps", "--format", "{{.Status}}"]).text();
    assert!(status.ends_with("(healthy)"), "{status}");
    machine.docker(&["rm", "-f", "checked"]).ok();
}

fn restarts(machine: &Machine) {
    machine.run_detached(
        &["--name", "fails", "--restart", "on-failure:2"],
        &["sh", "-c", "echo run; exit 3"],
    );
    wait::until_true("it has given up", PATIENCE, || {
        field(machine, "fails", ".State.Status}} {{.RestartCount") == "exited 2"
    });
    assert_eq!(machine.docker(&["logs", "fails"]).ok(), "run\nrun\nrun\n");
    assert_eq!(field(machine, "fails", ".State.ExitCode"), "3");

    machine.run_detached(
        &["--name", "stays", "--restart", "always"],
        &["sh", "-c", "exit 0"],
    );
    wait::until_true("it was started again", PATIENCE, || {
        field(machine, "stays", ".RestartCount")
            .parse::<u32>()
            .is_ok_and(|count| count > 1)
    });
    // An end is an end, though another run follows.
    assert_eq!(machine.docker(&["wait", "stays"]).text(), "0");
    machine.docker(&["stop", "-t", "1", "stays"]).ok();
    assert_eq!(field(machine, "stays", ".State.Running"), "false");
    machine.docker(&["rm", "fails", "stays"]).ok();
}

fn restart_with_rm(machine: &Machine) {
    let id = machine.run_detached(&["--rm", "--name", "short"], &["sleep", "1000"]);
    machine.docker(&["restart", "-t", "0", "short"]).ok();
    assert_eq!(field(machine, "short", ".Id"), id);
    machine.docker(&["kill", "short"]).ok();
    wait::until_true("it is gone", PATIENCE, || {
        machine.docker(&["inspect", "short"]).code != 0
    });
}

fn drivers(machine: &Machine) {
    let script = "i=0; while [ $i -lt 600 ]; do echo line $i of the log; i=$((i+1)); done";
    for (name, options) in [
        ("json", vec!["--log-opt", "compress=true"]),
        ("local", vec!["--log-driver", "local"]),
    ] {
        let mut args = vec!["--name", name];
        args.extend(options);
        args.extend(["--log-opt", "max-size=10k", "--log-opt", "max-file=20"]);
        keep(machine, &args, &["sh", "-c", script]);
        let log = machine.docker(&["logs", name]).ok();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 600, "{name}");
        assert_eq!(lines[599], "line 599 of the log", "{name}");
        let tail = machine.docker(&["logs", "--tail", "300", name]).ok();
        assert_eq!(tail.lines().next(), Some("line 300 of the log"), "{name}");
    }
    keep(
        machine,
        &[
            "--name",
            "told",
            "--label",
            "team=x",
            "--log-opt",
            "labels=team",
        ],
        &["echo", "hello"],
    );
    assert_eq!(
        machine.docker(&["logs", "--details", "told"]).text(),
        "team=x hello"
    );
    keep(
        machine,
        &["--name", "mute", "--log-driver", "none"],
        &["echo", "x"],
    );
    let refused = machine.docker(&["logs", "mute"]).exits(1);
    let _ = refused.complains("configured logging driver does not support reading");
    machine
        .docker(&["rm", "json", "local", "told", "mute"])
        .ok();
}

fn long_lines(machine: &Machine) {
    let script = "head -c 40000 /dev/zero | tr '\\0' x; echo; printf end";
    keep(machine, &["--name", "long"], &["sh", "-c", script]);
    let log = machine.docker(&["logs", "long"]).ok();
    assert_eq!(log, "x".repeat(40_000) + "\nend");
    // A long line is kept in pieces of 16 KiB, each with its time.
    let stamped = machine.docker(&["logs", "-t", "long"]).ok();
    assert_eq!(stamped.matches("Z x").count(), 3, "{}", stamped.len());
    machine.docker(&["rm", "long"]).ok();
}

fn pause(machine: &Machine) {
    machine.run_detached(&["--name", "frozen"], &["sleep", "1000"]);
    machine.docker(&["pause", "frozen"]).ok();
    assert!(machine.docker(&["ps"]).text().contains("(Paused)"));
    for (args, words) in [
        (vec!["pause", "frozen"], "is already paused"),
        (
            vec!["rm", "frozen"],
            "container is paused and must be unpaused first",
        ),
        (
            vec!["start", "frozen"],
            "cannot start a paused container, try unpause instead",
        ),
        (
            vec!["exec", "frozen", "true"],
            "Container frozen is paused, unpause the container before exec",
        ),
    ] {
        let _ = machine.docker(&args).exits(1).complains(words);
    }
    machine.docker(&["stop", "-t", "0", "frozen"]).ok();
    let _ = machine
        .docker(&["unpause", "frozen"])
        .exits(1)
        .complains("is not paused");
    machine.docker(&["rm", "frozen"]).ok();
}

fn rename(machine: &Machine) {
    let id = machine
        .docker(&["create", "--name", "one", busybox::NAME])
        .text();
    machine
        .docker(&["create", "--name", "two", busybox::NAME])
        .ok();
    let _ = machine
        .docker(&["rename", "one", "two"])
        .exits(1)
        .complains("The container name \"/two\" is already in use by container");
    machine.docker(&["rename", "one", "three"]).ok();
    assert_eq!(field(machine, "three", ".Id"), id);
    machine.docker(&["rm", "two", "three"]).ok();
}

fn filters(machine: &Machine) {
    machine.run_detached(&["--name", "web", "--label", "team=a"], &["sleep", "1000"]);
    machine.run_detached(&["--name", "db", "-v", "/data"], &["sleep", "1000"]);
    machine
        .docker(&["create", "--name", "idle", busybox::NAME])
        .ok();
    let ancestor = format!("ancestor={}", busybox::NAME);
    for (filter, wanted) in [
        ("name=^/?(web|idle)$", "idle web"),
        ("label=team=a", "web"),
        ("status=created", "idle"),
        ("volume=/data", "db"),
        (ancestor.as_str(), "idle db web"),
        ("since=web", "idle db"),
        ("before=db", "web"),
        ("network=bridge", "idle db web"),
        ("health=none", "idle db web"),
        ("is-task=true", ""),
    ] {
        assert_eq!(
            names(machine, &["-a", "--filter", filter]),
            wanted,
            "{filter}"
        );
    }
    assert_eq!(names(machine, &["-n", "2"]), "idle db");
    let _ = machine
        .docker(&["ps", "--filter", "nonsense=1"])
        .exits(1)
        .complains("invalid filter 'nonsense'");
    machine.docker(&["rm", "-f", "web", "db", "idle"]).ok();
}

fn sizes(machine: &Machine) {
    let script = "head -c 300000 /dev/zero > /big";
    keep(machine, &["--name", "big"], &["sh", "-c", script]);
    let format = "{{.SizeRw}} {{.SizeRootFs}}";
    let text = machine
        .docker(&["inspect", "--size", "--format", format, "big"])
        .text();
    let (own, all) = text.split_once(' ').expect("two numbers");
    let (own, all): (u64, u64) = (own.parse().expect("bytes"), all.parse().expect("bytes"));
    assert!((300_000..400_000).contains(&own) && all > own, "{text}");
    machine.docker(&["rm", "big"]).ok();
}

fn prune(machine: &Machine) {
    machine.run_detached(&["--name", "runs"], &["sleep", "1000"]);
    machine
        .docker(&["create", "--name", "kept", "--label", "keep", busybox::NAME])
        .ok();
    let gone = machine.docker(&["create", busybox::NAME]).text();
    let said = machine
        .docker(&["container", "prune", "-f", "--filter", "label!=keep"])
        .ok();
    assert!(
        said.contains(&gone) && said.contains("Total reclaimed space:"),
        "{said}"
    );
    assert_eq!(names(machine, &["-a"]), "kept runs");
    machine.docker(&["rm", "-f", "kept", "runs"]).ok();
}
