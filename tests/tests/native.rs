//! The real docker CLI against the engine on this host: the same steps as on the virtual machine,
//! in a mount and a network namespace of the test's own, so that the host's firewall and
//! interfaces stay as they are.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use std::env;
use std::process::Command;

use tests::registry::Registry;
use tests::steps::skip;
use tests::{Driver, Machine, Steps, places, scenario};

const INSIDE: &str = "SLIPWAY_TEST_ISOLATED";

#[test]
fn docker_works_natively() {
    if env::var_os(INSIDE).is_none() {
        return isolate();
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
    steps.step("stop leaves nothing", || nothing_left(&machine));
    steps.end();
}

/// Runs this test again in namespaces of its own.
fn isolate() {
    if !rustix::process::geteuid().is_root() {
        return skip("the native engine needs root");
    }
    let (Some(unshare), Some(ip)) = (places::in_path("unshare"), places::in_path("ip")) else {
        return skip("unshare or ip (packages util-linux, iproute2) is not installed");
    };
    let script =
        "\"$IP\" link set lo up && exec \"$TEST\" --exact docker_works_natively --nocapture";
    let status = Command::new(unshare)
        .args([
            "--mount",
            "--net",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
        ])
        .env(INSIDE, "1")
        .env("IP", ip)
        .env("TEST", env::current_exe().expect("this program"))
        .status()
        .expect("unshare");
    assert!(status.success(), "the isolated test failed: see above");
}

fn nothing_left(machine: &Machine) {
    let before = machine.machine_pid();
    assert!(before.is_some());
    machine.load_busybox().expect("busybox");
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
