//! Memory, processors and processes: set, seen inside, and enforced.

use crate::steps::unable;
use crate::{Driver, Machine, Steps};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    steps.step("stats", || stats(machine));
    steps.step("limits: warnings of what cgroup v2 lacks", || {
        warnings(machine);
    });
    steps.step("limits: wrong values", || refused(machine));
    if machine.driver() != Driver::Qemu && !host_has_controllers() {
        unable(
            "this host's cgroup v2 has no memory, cpu and pids controllers: limits are not tested natively",
        );
        return;
    }
    steps.step("limits: memory", || memory(machine));
    steps.step("limits: processors", || processors(machine));
    steps.step("limits: processes", || processes(machine));
    steps.step("limits: all files of the cgroup", || files(machine));
    steps.step("limits: update of one that runs", || update(machine));
    steps.step("limits: devices of the blkio kind", || disks(machine));
    if machine.driver() == Driver::Qemu {
        steps.step("limits: slipway stats and update", || own_command(machine));
    }
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

fn cgroup(machine: &Machine, options: &[&str], file: &str) -> String {
    let path = format!("/sys/fs/cgroup/{file}");
    machine.run(options, &["cat", &path]).text()
}

fn files(machine: &Machine) {
    for (options, file, expected) in [
        (&["-m", "64m"][..], "memory.swap.max", "67108864"),
        (
            &["-m", "64m", "--memory-swap", "80m"],
            "memory.swap.max",
            "16777216",
        ),
        (
            &["-m", "64m", "--memory-swap", "-1"],
            "memory.swap.max",
            "max",
        ),
        (
            &["-m", "64m", "--memory-reservation", "32m"],
            "memory.low",
            "33554432",
        ),
        (
            &["--cpu-period", "50000", "--cpu-quota", "25000"],
            "cpu.max",
            "25000 50000",
        ),
        (&["--cpuset-cpus", "0"], "cpuset.cpus", "0"),
        (&["--cpuset-mems", "0"], "cpuset.mems", "0"),
        (&["--pids-limit", "-1"], "pids.max", "max"),
        (&[], "memory.max", "max"),
    ] {
        if file == "memory.swap.max" && !has(machine, "SwapLimit") {
            unable("the kernel has no limit of swap");
            continue;
        }
        if file.starts_with("cpuset") && !has(machine, "CPUSet") {
            unable("the kernel has no cpuset");
            continue;
        }
        assert_eq!(cgroup(machine, options, file), expected, "{options:?}");
    }
}

fn has(machine: &Machine, what: &str) -> bool {
    let format = format!("{{{{.{what}}}}}");
    machine.docker(&["info", "--format", &format]).text() == "true"
}

fn update(machine: &Machine) {
    machine.run_detached(&["--name", "changing", "-m", "64m"], &["sleep", "1000"]);
    let read = |file: &str| {
        let path = format!("/sys/fs/cgroup/{file}");
        machine.docker(&["exec", "changing", "cat", &path]).text()
    };
    let update = |options: &[&str]| {
        let mut args = vec!["update"];
        args.extend(options);
        args.push("changing");
        machine.docker(&args)
    };
    assert_eq!(read("memory.max"), "67108864");
    let options = [
        "-m",
        "96m",
        "--memory-swap",
        "-1",
        "--cpus",
        "0.5",
        "--pids-limit",
        "33",
    ];
    assert_eq!(update(&options).text(), "changing");
    assert_eq!(read("memory.max"), "100663296");
    assert_eq!(read("cpu.max"), "50000 100000");
    assert_eq!(read("pids.max"), "33");
    assert_eq!(update(&["--pids-limit", "-1"]).text(), "changing");
    assert_eq!(read("pids.max"), "max");
    let _ = update(&["--cpu-quota", "5000"]).exits(1).complains(
        "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
    );
    let _ = update(&["-m", "1m"])
        .exits(1)
        .complains("Minimum memory limit allowed is 6MB");
    // What was refused changed nothing, and what was set outlives a restart.
    machine.docker(&["restart", "-t", "0", "changing"]).ok();
    assert_eq!(read("memory.max"), "100663296");
    assert_eq!(read("cpu.max"), "50000 100000");
    let format = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(
        machine
            .docker(&["inspect", "--format", format, "changing"])
            .text(),
        "100663296 500000000 0"
    );
    machine.docker(&["rm", "-f", "changing"]).ok();
}

fn disks(machine: &Machine) {
    // The machine's data disk, or whatever disk this host has.
    let disk = machine
        .run(
            &["--privileged"],
            &[
                "sh",
                "-c",
                "ls -d /dev/vd[a-z] /dev/sd[a-z] /dev/nvme?n? 2>/dev/null | tail -n 1",
            ],
        )
        .text();
    if disk.is_empty() {
        unable("there is no disk to limit");
        return;
    }
    let probe = machine
        .run(&[], &["sh", "-c", "ls /sys/fs/cgroup | grep -c '^io.max$'"])
        .stdout;
    let limit = format!("{disk}:1mb");
    let operations = format!("{disk}:100");
    let options = [
        "--device-write-bps",
        &limit,
        "--device-read-iops",
        &operations,
    ];
    let ran = machine.run(&options, &["sh", "-c", "cat /sys/fs/cgroup/io.max"]);
    if probe.trim() != "1" {
        let _ = ran.complains("write limit discarded");
        unable("the kernel has no io controller");
        return;
    }
    let line = ran.text();
    assert!(
        line.contains("wbps=1048576") && line.contains("riops=100"),
        "{line}"
    );
    let _ = machine
        .run(&["--device-write-bps", "/dev/nope:1mb"], &["true"])
        .exits(127)
        .complains("stat /dev/nope: no such file or directory");
}

fn stats(machine: &Machine) {
    machine.run_detached(
        &["--name", "measured"],
        &["sh", "-c", "while :; do :; done"],
    );
    let format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.PIDs}}";
    let line = machine
        .docker(&["stats", "--no-stream", "--format", format, "measured"])
        .text();
    let fields: Vec<&str> = line.split('|').collect();
    assert_eq!(fields[0], "measured");
    let percent: f64 = fields[1].trim_end_matches('%').parse().expect("a number");
    assert!(percent > 1.0, "{line}");
    assert!(
        fields[2].contains(" / ") && !fields[2].starts_with("0B"),
        "{line}"
    );
    assert_eq!(fields[3], "1", "{line}");
    machine.docker(&["kill", "measured"]).ok();
    // One that doesn't run has figures, too: zeros.
    let line = machine
        .docker(&["stats", "--no-stream", "--format", format, "measured"])
        .text();
    assert!(line.contains("|0.00%|0B / 0B|0"), "{line}");
    machine.docker(&["rm", "measured"]).ok();
}

fn own_command(machine: &Machine) {
    machine.run_detached(&["--name", "own", "-m", "64m"], &["sleep", "1000"]);
    let table = machine.slipway(&["stats", "--no-stream", "own"]).run().ok();
    assert!(table.contains("own") && table.contains("64MiB"), "{table}");
    let options = [
        "update",
        "-m",
        "96m",
        "--memory-swap",
        "-1",
        "--net-egress",
        "10mbit",
        "own",
    ];
    assert_eq!(machine.slipway(&options).run().text(), "own");
    let limit = machine
        .docker(&["exec", "own", "cat", "/sys/fs/cgroup/memory.max"])
        .text();
    assert_eq!(limit, "100663296");
    let answer = machine.api("GET", "/slipway/containers/own/bandwidth", b"");
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(body.contains("\"Egress\":\"10mbit\""), "{body}");
    machine.docker(&["rm", "-f", "own"]).ok();
}

fn warnings(machine: &Machine) {
    if machine.driver() == Driver::Docker {
        return; // Its host may have cgroup v1, which has both.
    }
    let ran = machine
        .docker(&[
            "create",
            "--memory-swappiness",
            "10",
            "--oom-kill-disable",
            crate::busybox::NAME,
        ])
        .exits(0);
    for warning in [
        "WARNING: Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
        "WARNING: Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ] {
        assert!(ran.stderr.contains(warning), "{ran}");
    }
    machine.docker(&["rm", ran.stdout.trim()]).ok();
}

fn refused(machine: &Machine) {
    for (options, words) in [
        (&["-m", "1m"][..], "Minimum memory limit allowed is 6MB"),
        (
            &["-m", "64m", "--memory-swap", "32m"],
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            &["--memory-swap", "64m"],
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            &["--cpus", "1", "--cpu-period", "5000"],
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            &["--oom-score-adj", "1001"],
            "Invalid value 1001, range for oom score adj is [-1000, 1000]",
        ),
        (&["--shm-size", "-1"], "invalid"),
        (
            &["--runtime", "kata"],
            "unknown or invalid runtime name: kata",
        ),
        (&["--ipc", "container:nope"], "No such container: nope"),
        (&["--gpus", "all"], "could not select device driver"),
        (
            &["--device", "/dev/nope"],
            "error gathering device information while adding custom device \"/dev/nope\": no such file or directory",
        ),
        (
            &["--security-opt", "key=value"],
            "invalid --security-opt 2: \"key=value\"",
        ),
        (&["--group-add", "nope"], "unable to find group nope"),
    ] {
        if options.contains(&"--memory-swap") && !has(machine, "SwapLimit") {
            // Without such a limit it is discarded before it is checked.
            continue;
        }
        let ran = machine.run(options, &["true"]);
        assert!(ran.code == 125 || ran.code == 127, "{options:?}: {ran}");
        let _ = ran.complains(words);
    }
}
