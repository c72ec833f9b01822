//! Resources, devices and the rest of what `docker run` says about the machine. Limits that need
//! controllers which this host may lack are in the scenario, which also runs in the machine.

use serde_json::Value;

use crate::support::{Host, host, request};

/// One sample of a container's figures.
fn sample(host: &Host, name: &str) -> Value {
    let path = format!("/containers/{name}/stats?stream=false&one-shot=true");
    let (status, body) = request(host, "GET", &path, "", "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn stats_show_what_a_container_uses() {
    let host = host!();
    let script = "i=0; while :; do i=$((i+1)); done";
    host.docker(&["run", "-d", "--name", "busy", "busybox", "sh", "-c", script])
        .good();
    let format = "{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.NetIO}}|{{.PIDs}}";
    let line = host
        .docker(&["stats", "--no-stream", "--format", format])
        .good();
    let fields: Vec<&str> = line.split('|').collect();
    assert_eq!(fields[0], "busy");
    let cpu: f64 = fields[1].trim_end_matches('%').parse().unwrap();
    assert!(cpu > 5.0, "a loop uses a processor: {line}");
    assert!(!fields[2].starts_with("0B"), "{line}");
    assert_eq!(fields[4], "1", "{line}");

    let stats = sample(&host, "busy");
    assert!(stats["cpu_stats"]["cpu_usage"]["total_usage"].as_u64() > Some(0));
    assert!(stats["cpu_stats"]["online_cpus"].as_u64() >= Some(1));
    assert!(stats["memory_stats"]["limit"].as_u64() > Some(0));
    assert_eq!(stats["precpu_stats"]["cpu_usage"]["total_usage"], 0);
    assert!(stats["networks"]["eth0"]["rx_bytes"].is_u64(), "{stats}");
    // Docker doesn't say whose a single sample of a running container is.
    assert_eq!((stats.get("name"), stats.get("id")), (None, None));

    // With a wait, the sample before is there.
    let (_, body) = request(&host, "GET", "/containers/busy/stats?stream=false", "", "");
    let stats: Value = serde_json::from_str(&body).unwrap();
    let total = |part: &str| stats[part]["cpu_usage"]["total_usage"].as_u64().unwrap();
    assert!(total("precpu_stats") > 0 && total("cpu_stats") > total("precpu_stats"));
    assert!(stats["preread"].as_str() < stats["read"].as_str());

    let (status, body) = request(
        &host,
        "GET",
        "/containers/busy/stats?stream=true&one-shot=true",
        "",
        "",
    );
    assert_eq!(status, 400);
    assert!(body.contains("cannot have stream=true and one-shot=true"));
    host.docker(&["stats", "--no-stream", "nope"])
        .bad(1, "No such container: nope");

    host.docker(&["kill", "busy"]).good();
    let stats = sample(&host, "busy");
    assert_eq!(stats["read"], "0001-01-01T00:00:00Z");
    assert_eq!(stats["memory_stats"], serde_json::json!({}));
    assert_eq!(stats["name"], "/busy");
}

#[test]
fn a_stream_of_stats_goes_on() {
    use std::io::{BufRead, BufReader};

    let host = host!();
    host.docker(&["run", "-d", "--name", "one", "busybox", "sleep", "1000"])
        .good();
    let mut child = host
        .command(&["stats", "--format", "json", "one"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first lines may come before the first figures.
    let found = lines
        .map_while(Result::ok)
        .take(40)
        .filter(|line| line.contains("\"Name\":\"one\""))
        .take(2)
        .count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found, 2);
}

#[test]
fn update_changes_what_it_is_told_to() {
    let host = host!();
    host.docker(&["run", "-d", "--name", "one", "busybox", "sleep", "1000"])
        .good();
    let policy = |name: &str| {
        host.field(name, ".HostConfig.RestartPolicy.Name")
            + ":"
            + &host.field(name, ".HostConfig.RestartPolicy.MaximumRetryCount")
    };
    assert_eq!(policy("one"), "no:0");
    assert_eq!(
        host.docker(&["update", "--restart", "on-failure:3", "one"])
            .good(),
        "one"
    );
    assert_eq!(policy("one"), "on-failure:3");
    let json = "application/json";
    let update = |body: &str| request(&host, "POST", "/containers/one/update", json, body);
    for (body, status, message) in [
        (
            "{\"Memory\":1024}",
            400,
            "Minimum memory limit allowed is 6MB",
        ),
        (
            "{\"NanoCpus\":1,\"CpuPeriod\":5000}",
            400,
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            "{\"RestartPolicy\":{\"Name\":\"maybe\"}}",
            400,
            "invalid restart policy: unknown policy 'maybe'",
        ),
        ("{\"Memory\":\"x\"}", 400, "invalid JSON"),
    ] {
        let answer = update(body);
        assert_eq!(answer.0, status, "{body}: {answer:?}");
        assert!(answer.1.contains(message), "{body}: {answer:?}");
    }
    assert_eq!(update("{}"), (200, "{\"Warnings\":null}".into()));
    host.docker(&[
        "run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "1000",
    ])
    .good();
    let id = host.field("brief", ".Id");
    host.docker(&["update", "--restart", "always", "brief"]).bad(
        1,
        &format!("Cannot update container {id}: Restart policy cannot be updated because AutoRemove is enabled for the container"),
    );
    host.docker(&["update", "--restart", "no", "nope"])
        .bad(1, "No such container: nope");
    // docker sends whole seconds: the present one would be cut off.
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let until = (now.as_secs() + 1).to_string();
    let events = host
        .docker(&[
            "events",
            "--since",
            "1h",
            "--until",
            &until,
            "--filter",
            "event=update",
            "--format",
            "{{.Actor.Attributes.name}}",
        ])
        .good();
    assert!(
        events.lines().all(|name| name == "one") && events.contains("one"),
        "{events}"
    );
}

#[test]
fn limits_that_the_kernel_lacks_are_discarded_with_a_warning() {
    let host = host!();
    let info = host
        .docker(&["info", "--format", "{{.MemoryLimit}}"])
        .good();
    let output = host.docker(&["create", "--name", "small", "-m", "64m", "busybox", "true"]);
    assert_eq!(output.code, 0, "{output:?}");
    let memory = host.field("small", ".HostConfig.Memory");
    if info == "true" {
        assert_eq!(memory, "67108864");
        assert!(!output.stderr.contains("WARNING"), "{output:?}");
    } else {
        assert_eq!(memory, "0");
        assert!(
            output.stderr.contains("WARNING: Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."),
            "{output:?}"
        );
        let info = host.docker(&["info"]);
        assert!(
            info.stderr.contains("WARNING: No memory limit support"),
            "{info:?}"
        );
    }
    // cgroup v2 has neither, whatever the kernel.
    let output = host.docker(&[
        "create",
        "--memory-swappiness",
        "10",
        "--oom-kill-disable",
        "busybox",
        "true",
    ]);
    assert!(
        output.stderr.contains("Memory swappiness discarded."),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("OomKillDisable discarded."),
        "{output:?}"
    );
}

#[test]
fn devices_are_made_and_may_be_used_as_far_as_the_rules_go() {
    let host = host!();
    let run = |options: &[&str], script: &str| {
        let mut args = vec!["run", "--rm"];
        args.extend_from_slice(options);
        args.extend(["busybox", "sh", "-c", script]);
        host.docker(&args)
    };
    if !std::path::Path::new("/dev/loop0").exists() {
        return tests::steps::unable("this host has no /dev/loop0 to hand over");
    }
    // Made, readable, but not writable.
    let script =
        "stat -c '%t:%T' /dev/loop0; head -c 1 /dev/loop0 && echo read; echo x > /dev/loop0";
    let output = run(&["--device", "/dev/loop0:/dev/loop0:r"], script);
    assert_eq!(output.stdout, "7:0\nread\n", "{output:?}");
    assert!(
        output.stderr.contains("Operation not permitted"),
        "{output:?}"
    );
    // Under another name.
    let output = run(
        &["--device", "/dev/loop0:/opt/disk"],
        "head -c 1 /opt/disk; ls /opt",
    );
    assert_eq!(output.good(), "disk");
    // A rule without a node.
    let script = "mknod /k b 7 0 && head -c 1 /k && echo read";
    let without = run(&[], script);
    assert!(
        without.stderr.contains("Operation not permitted"),
        "{without:?}"
    );
    assert_eq!(
        run(&["--device-cgroup-rule", "b 7:0 r"], script).good(),
        "read"
    );
    // A whole directory.
    let nodes = run(&["--device", "/dev/net:/dev/net"], "ls /dev/net");
    if std::path::Path::new("/dev/net/tun").exists() {
        assert_eq!(nodes.good(), "tun");
    } else {
        tests::steps::unable("this host has no /dev/net/tun");
    }
    run(&["--device", "/dev/nope"], "true").bad(
        127,
        "error gathering device information while adding custom device \"/dev/nope\": no such file or directory",
    );
    run(&["--gpus", "all"], "true").bad(
        125,
        "could not select device driver \"\" with capabilities: [[gpu]]",
    );
    let limited = run(&["--device-read-bps", "/dev/nope:1mb"], "true");
    // Discarded where there is no such limit, with a warning.
    if limited.code == 0 {
        assert!(
            limited.stderr.contains("read limit discarded"),
            "{limited:?}"
        );
    } else {
        limited.bad(127, "stat /dev/nope: no such file or directory");
    }
}

#[test]
fn options_of_the_process_and_its_namespaces() {
    let host = host!();
    let run = |options: &[&str], script: &str| {
        let mut args = vec!["run", "--rm"];
        args.extend_from_slice(options);
        args.extend(["busybox", "sh", "-c", script]);
        host.docker(&args)
    };
    assert_eq!(run(&["--group-add", "www"], "id -G").good(), "0 33");
    run(&["--group-add", "nobody-here"], "true").bad(125, "unable to find group nobody-here");
    assert_eq!(
        run(
            &["--domainname", "example.test", "--hostname", "box"],
            "hostname -f; cat /proc/sys/kernel/domainname"
        )
        .good(),
        "box.example.test\nexample.test"
    );
    assert_eq!(
        run(
            &["--sysctl", "net.ipv4.ip_default_ttl=77"],
            "cat /proc/sys/net/ipv4/ip_default_ttl"
        )
        .good(),
        "77"
    );
    run(
        &[
            "--sysctl",
            "net.ipv4.ip_default_ttl=77",
            "--network",
            "host",
        ],
        "true",
    )
    .bad(
        125,
        "sysctl \"net.ipv4.ip_default_ttl\" not allowed in host network namespace",
    );
    run(&["--sysctl", "kernel.shmmax=1", "--ipc", "host"], "true").bad(
        125,
        "sysctl \"kernel.shmmax\" is not allowed in the hosts ipc namespace",
    );
    assert_eq!(
        run(
            &["--security-opt", "systempaths=unconfined"],
            "grep -c ' /proc/' /proc/mounts"
        )
        .stdout,
        "0\n"
    );
    run(&["--security-opt", "key=value"], "true")
        .bad(125, "invalid --security-opt 2: \"key=value\"");
    run(&["--runtime", "kata"], "true").bad(125, "unknown or invalid runtime name: kata");
    run(&["--storage-opt", "size=1g"], "true").bad(125, "--storage-opt is supported only for");
    run(&["--isolation", "hyperv"], "true").bad(
        125,
        "invalid isolation (hyperv): linux only supports 'default'",
    );
    run(&["--cpu-rt-runtime", "5000"], "true")
        .bad(125, "kernel does not support CPU real-time scheduler");
    assert_eq!(
        run(&["--oom-score-adj", "321"], "cat /proc/self/oom_score_adj").good(),
        "321"
    );
    assert_eq!(
        run(&["--userns", "host"], "readlink /proc/self/ns/user").good(),
        {
            std::fs::read_link("/proc/self/ns/user")
                .unwrap()
                .display()
                .to_string()
        }
    );
    // A profile of one's own.
    let profile = host.path("profile.json");
    std::fs::write(
        &profile,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#,
    )
    .unwrap();
    run(
        &["--security-opt", &format!("seccomp={profile}")],
        "mkdir /x",
    )
    .bad(1, "No space left on device");
    // It holds for a privileged container, too, and for its sessions.
    let chosen = format!("seccomp={profile}");
    run(&["--privileged", "--security-opt", &chosen], "mkdir /x").bad(1, "No space left on device");
    let own = ["run", "-d", "--name", "own", "--privileged"];
    host.docker(
        &[
            &own[..],
            &["--security-opt", &chosen, "busybox", "sleep", "1000"],
        ]
        .concat(),
    )
    .good();
    host.docker(&["exec", "--privileged", "own", "mkdir", "/x"])
        .bad(1, "No space left on device");
    host.docker(&["rm", "-f", "own"]).good();
    let group = "mkdir /sys/fs/cgroup/mine && rmdir /sys/fs/cgroup/mine";
    run(&[], group).bad(1, "Read-only file system");
    run(&["--security-opt", "writable-cgroups=true"], group).good();
    run(
        &["--privileged", "--security-opt", "writable-cgroups=false"],
        group,
    )
    .bad(1, "Read-only file system");
    // What inspect shows of the defaults.
    host.docker(&["create", "--name", "plain", "busybox"])
        .good();
    assert_eq!(
        host.field("plain", "index .HostConfig.ReadonlyPaths 0"),
        "/proc/bus"
    );
    assert_eq!(host.field("plain", "json .HostConfig.SecurityOpt"), "null");
    host.docker(&["create", "--name", "strong", "--privileged", "busybox"])
        .good();
    assert_eq!(host.field("strong", "json .HostConfig.MaskedPaths"), "null");
    assert_eq!(
        host.field("strong", "json .HostConfig.SecurityOpt"),
        "[\"label=disable\"]"
    );
}

#[test]
fn bandwidth_is_a_label_and_can_be_changed() {
    let host = host!();
    host.docker(&["run", "--rm", "-l", "slipway.net.egress=10mb", "busybox", "true"]).bad(
        125,
        "invalid label slipway.net.egress=10mb: the unit \"mb\" is not known; write it like 10mbit, 500kbit or 1gbit",
    );
    let label = "slipway.net.egress=10mbit";
    let started = host.docker(&[
        "run", "-d", "--name", "slow", "-l", label, "busybox", "sleep", "1000",
    ]);
    if started.stderr.contains("no token bucket filter") {
        return tests::steps::unable(&started.stderr);
    }
    started.good();
    let path = "/slipway/containers/slow/bandwidth";
    let (status, body) = request(&host, "GET", path, "", "");
    assert_eq!(status, 200, "{body}");
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&shown["Egress"], &shown["Ingress"]),
        (&"10mbit".into(), &"none".into())
    );
    let set = |body: &str| request(&host, "POST", path, "application/json", body);
    let (status, body) = set("{\"Ingress\":\"500kbit\"}");
    assert_eq!(status, 200, "{body}");
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&shown["Egress"], &shown["IngressBitsPerSecond"]),
        (&"10mbit".into(), &500_000.into())
    );
    assert_eq!(set("{\"Egress\":\"none\",\"Ingress\":\"none\"}").0, 200);
    let (status, body) = set("{\"Egress\":\"fast\"}");
    assert_eq!(status, 400, "{body}");
    assert_eq!(set("{}").0, 400);
    assert_eq!(
        request(&host, "GET", "/slipway/containers/nope/bandwidth", "", "").0,
        404
    );
    host.docker(&[
        "run",
        "-d",
        "--name",
        "open",
        "--network",
        "none",
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    let (status, body) = request(
        &host,
        "POST",
        "/slipway/containers/open/bandwidth",
        "application/json",
        "{\"Egress\":\"1mbit\"}",
    );
    assert_eq!(status, 409, "{body}");
}

#[test]
fn a_parent_cgroup_is_where_the_container_goes() {
    let host = host!();
    let parent = format!("slipway-parent-{}", std::process::id());
    host.docker(&[
        "run",
        "-d",
        "--name",
        "child",
        "--cgroup-parent",
        &format!("/{parent}"),
        "busybox",
        "sleep",
        "1000",
    ])
    .good();
    let pid = host.field("child", ".State.Pid");
    let id = host.field("child", ".Id");
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(groups.contains(&format!("/{parent}/{id}")), "{groups}");
    assert!(sample(&host, "child")["pids_stats"]["current"].as_u64() > Some(0));
    host.docker(&["rm", "-f", "child"]).good();
    let output = host.docker(&["create", "--cgroup-parent", "/a/../b", "busybox"]);
    output.bad(1, "invalid cgroup-parent");
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
        let _ = std::fs::remove_dir(format!("{root}/{parent}"));
    }
}
