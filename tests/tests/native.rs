//! The real docker CLI against the engine on this host: the same steps as on the virtual machine,
//! in a mount and a network namespace of the test's own, so that the host's firewall and
//! interfaces stay as they are.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use std::time::Duration;

use rustix::process::Signal;
use tests::registry::Registry;
use tests::steps::skip;
use tests::{Driver, Machine, Steps, isolation, scenario, wait};

#[test]
fn docker_works_natively() {
    if !isolation::is_inside("docker_works_natively") {
        return;
    }
    let registry = match Registry::start() {
        Ok(registry) => registry,
        Err(why) => return skip(&why),
    };
    let machine = match Machine::started(Driver::Native) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let mut steps = Steps::begin();
    scenario::run(&machine, &registry, &mut steps);
    machine.load_busybox().expect("busybox");
    steps.step("limits that this host lacks are told", || {
        missing_limits(&machine);
    });
    steps.step("kill -9 of the engine", || engine_crash(&machine));
    steps.step("stop leaves nothing", || nothing_left(&machine));
    steps.end();
}

/// Who starts the engine reads it at once, and not only who makes a container with such a limit.
fn missing_limits(machine: &Machine) {
    let warnings = machine.status()["machine"]["warnings"].to_string();
    let mut all = true;
    for (field, word) in [
        ("MemoryLimit", "memory"),
        ("CPUSet", "processors"),
        ("PidsLimit", "processes"),
    ] {
        let format = format!("{{{{.{field}}}}}");
        let has = machine.docker(&["info", "--format", &format]).text() == "true";
        let told = warnings.contains("without limits of") && warnings.contains(word);
        assert_ne!(has, told, "{field}: {warnings}");
        all &= has;
    }
    assert_eq!(all, !warnings.contains("cgroup_hierarchy"), "{warnings}");
}

/// Containers, their output, exit codes and addresses survive the engine.
fn engine_crash(machine: &Machine) {
    let script = "echo one; until [ -e /go ]; do usleep 50000; done; echo two; exit 7";
    machine.run_detached(&["--name", "survivor"], &["sh", "-c", script]);
    let address = |name: &str| {
        let format = "{{.State.Running}} {{.NetworkSettings.Networks.bridge.IPAddress}}";
        machine
            .docker(&["inspect", "--format", format, name])
            .text()
    };
    let before = address("survivor");
    let warden = machine.machine_pid().expect("the warden");
    let engine = wait::child_named(warden, "slipway-agent").expect("the engine");
    wait::signal(engine, Signal::KILL);
    wait::until_true("another engine answers", Duration::from_secs(30), || {
        let next = wait::child_named(warden, "slipway-agent");
        next.is_some_and(|pid| pid != engine) && machine.docker(&["ps", "-q"]).code == 0
    });
    assert_eq!(address("survivor"), before);
    machine.run_detached(&["--name", "newcomer"], &["sleep", "1000"]);
    assert_ne!(address("newcomer"), before, "an address was given twice");
    machine.docker(&["exec", "survivor", "touch", "/go"]).ok();
    assert_eq!(machine.docker(&["wait", "survivor"]).text(), "7");
    assert_eq!(machine.docker(&["logs", "survivor"]).ok(), "one\ntwo\n");
    machine.docker(&["rm", "-f", "survivor", "newcomer"]).ok();
}

fn nothing_left(machine: &Machine) {
    let before = machine.machine_pid();
    assert!(before.is_some());
    machine.run_detached(&[], &["sleep", "1000"]);
    machine.stop().ok();
    assert_eq!(machine.state(), "stopped");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let home = machine.home().to_str().expect("a path");
    let left: Vec<&str> = mounts.lines().filter(|line| line.contains(home)).collect();
    assert!(left.is_empty(), "mounts are left: {left:#?}");
    let interfaces = std::fs::read_to_string("/proc/net/dev").expect("interfaces");
    assert!(
        !interfaces.contains("slipway0") && !interfaces.contains("sw-"),
        "{interfaces}"
    );
}
