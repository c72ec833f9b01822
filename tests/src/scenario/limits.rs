//! Memory, processors and processes: set, seen inside, and enforced.

use crate::steps::unable;
use crate::{Driver, Machine, Steps};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    if machine.driver() != Driver::Qemu && !host_has_controllers() {
        unable(
            "this host's cgroup v2 has no memory, cpu and pids controllers: limits are not tested natively",
        );
        return;
    }
    steps.step("limits: memory", || memory(machine));
    steps.step("limits: processors", || processors(machine));
    steps.step("limits: processes", || processes(machine));
}

fn host_has_controllers() -> bool {
    let names = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    ["memory", "cpu", "pids"]
        .iter()
        .all(|wanted| names.split_whitespace().any(|name| name == *wanted))
}

fn memory(machine: &Machine) {
    let seen = machine
        .run(&["-m", "64m"], &["cat", "/sys/fs/cgroup/memory.max"])
        .text();
    assert_eq!(seen, "67108864");
    let hog = ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"];
    machine.run(&[], &hog).ok();
    let id = machine.run_detached(&["-m", "64m"], &hog);
    assert_eq!(machine.docker(&["wait", &id]).text(), "137");
    let state = machine
        .docker(&[
            "inspect",
            "--format",
            "{{.State.OOMKilled}} {{.HostConfig.Memory}}",
            &id,
        ])
        .text();
    assert_eq!(state, "true 67108864");
    machine.docker(&["rm", &id]).ok();
}

fn processors(machine: &Machine) {
    let script = "cat /sys/fs/cgroup/cpu.max; i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done; cat /sys/fs/cgroup/cpu.stat";
    let text = machine.run(&["--cpus", "0.5"], &["sh", "-c", script]).ok();
    assert!(text.starts_with("50000 100000\n"), "{text}");
    let throttled = text
        .lines()
        .find_map(|line| line.strip_prefix("nr_throttled "));
    let throttled: u32 = throttled.expect("nr_throttled").parse().expect("a number");
    assert!(throttled > 0, "{text}");
    let weight = machine
        .run(
            &["--cpu-shares", "512"],
            &["cat", "/sys/fs/cgroup/cpu.weight"],
        )
        .text();
    let weight: u32 = weight.parse().expect("a number");
    assert!((1..100).contains(&weight), "{weight}");
}

fn processes(machine: &Machine) {
    let script = "cat /sys/fs/cgroup/pids.max; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo not reached";
    let ran = machine.run(&["--pids-limit", "8"], &["sh", "-c", script]);
    assert!(ran.stdout.starts_with("8\n"), "{ran}");
    assert!(ran.stderr.contains("fork") && ran.code != 0, "{ran}");
}
