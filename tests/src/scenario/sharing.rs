//! What a container has of others and of the machine: devices, volumes, shared memory, an init.

use crate::steps::unable;
use crate::{Driver, Machine, Steps, wait};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    steps.step("run --device", || devices(machine));
    steps.step("run --ipc", || shared_memory(machine));
    steps.step("run --init", || init(machine));
    steps.step("run --volumes-from", || volumes_from(machine));
    steps.step("run --mount", || mounts(machine));
    steps.step("run --sysctl, --ulimit, --group-add", || process(machine));
    if machine.driver() != Driver::Docker {
        steps.step("run --mount type=image", || images(machine));
        steps.step("bandwidth", || bandwidth(machine));
    }
}

fn devices(machine: &Machine) {
    let found = machine
        .run(
            &["--privileged"],
            &[
                "sh",
                "-c",
                "ls -d /dev/loop0 /dev/vda 2>/dev/null | head -n 1",
            ],
        )
        .text();
    if found.is_empty() {
        unable("the machine has no block device to hand over");
        return;
    }
    let read_only = format!("{found}:/dev/given:r");
    let script = "head -c 1 /dev/given >/dev/null && echo read; echo x > /dev/given";
    let ran = machine.run(&["--device", &read_only], &["sh", "-c", script]);
    assert_eq!(ran.stdout, "read\n", "{ran}");
    let _ = ran.complains("Operation not permitted");
}

fn shared_memory(machine: &Machine) {
    let size = ["sh", "-c", "df -k /dev/shm | tail -n 1 | awk '{print $2}'"];
    assert_eq!(machine.run(&[], &size).text(), "65536");
    assert_eq!(machine.run(&["--shm-size", "8m"], &size).text(), "8192");
    let script = "echo shared > /dev/shm/x; sleep 1000";
    machine.run_detached(
        &["--name", "donor", "--ipc", "shareable"],
        &["sh", "-c", script],
    );
    wait::until_true(
        "the donor has written",
        std::time::Duration::from_secs(30),
        || machine.docker(&["exec", "donor", "cat", "/dev/shm/x"]).code == 0,
    );
    let joined = machine.run(&["--ipc", "container:donor"], &["cat", "/dev/shm/x"]);
    assert_eq!(joined.text(), "shared");
    machine.docker(&["rm", "-f", "donor"]).ok();
}

fn init(machine: &Machine) {
    let first = machine.run(&["--init"], &["cat", "/proc/1/comm"]).text();
    assert_eq!(first, "docker-init");
    let _ = machine.run(&["--init"], &["sh", "-c", "exit 7"]).exits(7);
    let _ = machine
        .run(&["--init"], &["sh", "-c", "kill -TERM $$"])
        .exits(143);
    let _ = machine.run(&["--init"], &["nonesuch"]).exits(127);
}

fn volumes_from(machine: &Machine) {
    let image = crate::busybox::NAME;
    machine
        .docker(&["create", "--name", "data", "-v", "/vol", image])
        .ok();
    let script = "echo kept > /vol/x";
    machine
        .run(&["--volumes-from", "data"], &["sh", "-c", script])
        .ok();
    let read = machine.run(&["--volumes-from", "data:ro"], &["cat", "/vol/x"]);
    assert_eq!(read.text(), "kept");
    let _ = machine
        .run(&["--volumes-from", "data:ro"], &["touch", "/vol/y"])
        .exits(1)
        .complains("Read-only file system");
    machine.docker(&["rm", "-v", "data"]).ok();
}

fn mounts(machine: &Machine) {
    let tmpfs = "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700";
    let script = "stat -c %a /t; df -k /t | tail -n 1 | awk '{print $2}'";
    let text = machine
        .run(&["--mount", tmpfs], &["sh", "-c", script])
        .text();
    assert_eq!(text, "700\n1024");
    // What is mounted below a read-only bind can't be written to, either.
    let bind = "type=bind,src=/dev,dst=/d,readonly";
    let _ = machine
        .run(&["--mount", bind], &["touch", "/d/shm/x"])
        .exits(1)
        .complains("Read-only file system");
    let _ = machine
        .run(&["--mount", "type=bind,src=/nope/nope,dst=/x"], &["true"])
        .exits(125)
        .complains("bind source path does not exist: /nope/nope");
}

fn process(machine: &Machine) {
    let ttl = machine.run(
        &["--sysctl", "net.ipv4.ip_default_ttl=77"],
        &["cat", "/proc/sys/net/ipv4/ip_default_ttl"],
    );
    assert_eq!(ttl.text(), "77");
    let limits = machine.run(
        &["--ulimit", "nofile=99:100", "--ulimit", "core=0"],
        &["sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c"],
    );
    assert_eq!(limits.text(), "99\n100\n0");
    assert_eq!(
        machine.run(&["--group-add", "7"], &["id", "-G"]).text(),
        "0 7"
    );
}

fn images(machine: &Machine) {
    let mount = format!("type=image,src={},dst=/img", crate::busybox::NAME);
    let script = "ls /img/bin/busybox; echo w > /img/w";
    let written = machine.run(&["--mount", &mount], &["sh", "-c", script]);
    assert_eq!(written.stdout.trim_end(), "/img/bin/busybox");
    let _ = written.exits(1).complains("Read-only file system");
}

fn bandwidth(machine: &Machine) {
    let refused = machine.run(&["-l", "slipway.net.egress=fast"], &["true"]);
    let _ = refused
        .exits(125)
        .complains("invalid label slipway.net.egress=fast");
    let label = ["--name", "slow", "-l", "slipway.net.egress=4mbit"];
    let mut args = vec!["run", "-d"];
    args.extend(label);
    args.extend([crate::busybox::NAME, "sleep", "1000"]);
    let started = machine.docker(&args);
    if started.stderr.contains("no token bucket filter") {
        unable("the kernel has no token bucket filter");
        machine.docker(&["rm", "-f", "slow"]).ok();
        return;
    }
    started.ok();
    let answer = machine.api("GET", "/slipway/containers/slow/bandwidth", b"");
    let shown = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(shown.contains("\"Egress\":\"4mbit\""), "{shown}");
    // Two megabytes to a neighbour at four megabits a second take four seconds.
    machine.run_detached(
        &["--name", "sink", "-i"],
        &["sh", "-c", "nc -l -p 9000 | wc -c"],
    );
    let format = "{{.NetworkSettings.IPAddress}}";
    let ip = machine
        .docker(&["inspect", "--format", format, "sink"])
        .text();
    wait::until_true(
        "the sink listens",
        std::time::Duration::from_secs(30),
        || {
            let script = ["exec", "sink", "sh", "-c", "netstat -ltn | grep -q :9000"];
            machine.docker(&script).code == 0
        },
    );
    let begun = std::time::Instant::now();
    let script = format!("head -c 2000000 /dev/zero | nc {ip} 9000");
    machine
        .docker_command(&["exec", "-d", "slow", "sh", "-c", &script])
        .run()
        .ok();
    machine.docker(&["wait", "sink"]).ok();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(machine.docker(&["logs", "sink"]).text(), "2000000");
    assert!(seconds > 2.0, "2 MB at 4 Mbit/s took only {seconds:.1} s");
    machine.docker(&["rm", "-f", "slow", "sink"]).ok();
}
