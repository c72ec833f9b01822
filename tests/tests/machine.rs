//! The machine's own life: start, status, stop, crash, and boots that fail.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tests::steps::skip;
use tests::{Driver, Machine, Program, Steps, busybox, disk, places, server, wait};

#[test]
fn a_machine_lives_and_comes_back() {
    let mut machine = match Machine::absent(Driver::Qemu) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    machine.set("SLIPWAY_SNAPSHOT_DELAY_S", "0");
    let mut steps = Steps::begin();
    steps.step("before the first start", || absent(&machine));
    steps.step("first start", || first_start(&machine));
    steps.step("status", || status(&machine));
    steps.step("strangers on its vsock", || strangers(&machine));
    steps.step("a snapshot is taken beside it", || taken(&machine));
    steps.step("a start of what runs", || start_again(&machine));
    steps.step("a second slipwayd", || second_service(&machine));
    steps.step("an image and a container", || fill(&machine));
    steps.step("kill -9 of slipwayd, then start", || {
        service_crash(&machine)
    });
    steps.step("stop leaves a clean file system", || clean_stop(&machine));
    steps.step("commands while it is stopped", || stopped(&machine));
    steps.step("start after a stop keeps everything", || restart(&machine));
    steps.step("kill -9 of the machine, then start", || {
        machine_crash(&machine)
    });
    steps.step("restart", || restart_command(&machine));
    steps.step("a damaged snapshot costs a boot and nothing else", || {
        damaged_snapshot(&machine);
    });
    steps.end();
}

#[test]
fn a_machine_that_cannot_boot_says_why() {
    let mut machine = match Machine::absent(Driver::Qemu) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let broken = machine.home().join("broken-image");
    copy_image(&broken);
    machine.set("SLIPWAY_IMAGE_DIR", broken.to_str().expect("a short path"));
    let mut steps = Steps::begin();
    steps.step("a root image of noise", || {
        replace(&broken.join("root.ext2"), &[0x5a; 1 << 20]);
        let ran = machine.start().exits(1);
        assert!(
            ran.stderr.contains("error:") && ran.stderr.contains("hint:"),
            "{ran}"
        );
        // The machine's own last words are part of the answer.
        assert!(ran.stderr.contains("Unable to mount root fs"), "{ran}");
        assert_eq!(machine.state(), "failed");
        let status = machine.status();
        assert!(
            status["machine"]["error"]["message"].is_string(),
            "{status}"
        );
        assert!(status["machine"]["pid"].is_null(), "{status}");
        machine.end_service(Signal::TERM);
    });
    steps.step("a kernel of noise", || {
        replace(&broken.join("vmlinux"), &[0x5a; 1 << 20]);
        let ran = machine.start().exits(1);
        assert!(
            ran.stderr.contains("error:") && ran.stderr.contains("hint:"),
            "{ran}"
        );
        machine.end_service(Signal::TERM);
    });
    steps.step("no kernel", || {
        fs::remove_file(broken.join("vmlinux")).expect("the kernel");
        let ran = machine.start().exits(1);
        assert!(ran.stderr.contains("vmlinux"), "{ran}");
        machine.end_service(Signal::TERM);
    });
    steps.end();
}

/// A folder with links to the image's files, of which single ones can be replaced.
fn copy_image(folder: &Path) {
    fs::create_dir(folder).expect("a folder");
    for entry in fs::read_dir(places::image()).expect("the image") {
        let path = entry.expect("the image").path();
        let path = std::path::absolute(path).expect("the image");
        symlink(&path, folder.join(path.file_name().expect("a name"))).expect("a link");
    }
}

fn replace(file: &Path, content: &[u8]) {
    fs::remove_file(file).expect("the link");
    fs::write(file, content).expect("the file");
}

fn absent(machine: &Machine) {
    assert_eq!(machine.state(), "absent");
    assert!(!machine.home().join("machine/data.raw").exists());
}

fn first_start(machine: &Machine) {
    let ran = machine.start();
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(machine.api("GET", "/_ping", b"").text(), "OK");
}

fn status(machine: &Machine) {
    let status = machine.status();
    let of = &status["machine"];
    assert_eq!(of["state"], "running", "{status}");
    assert_eq!(of["driver"], "qemu", "{status}");
    let accelerator = of["accelerator"].as_str().expect("an accelerator");
    assert!(
        ["kvm", "hvf", "whpx", "tcg"].contains(&accelerator),
        "{status}"
    );
    assert!(
        accelerator == "kvm" || of["accelerator_note"].is_string(),
        "{status}"
    );
    assert!(
        of["boot_ms"].as_u64().is_some_and(|ms| ms > 100),
        "{status}"
    );
    assert_eq!(of["snapshot"], false, "{status}");
    assert!(of["error"].is_null(), "{status}");
    assert!(
        of["disk_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes >= 1 << 30),
        "{status}"
    );
    assert!(
        of["disk_used_bytes"].as_u64() < of["disk_bytes"].as_u64(),
        "{status}"
    );
    let steps: Vec<&str> = of["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|step| step["name"].as_str())
        .collect();
    assert_eq!(steps, ["prepare", "linux", "storage", "engine", "api"]);
    let pid = machine.machine_pid().expect("a process");
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).expect("a process");
    assert!(name.starts_with("qemu"), "{name}");
    let endpoint = format!("unix://{}", machine.socket().display());
    assert_eq!(status["api"]["endpoint"], endpoint.as_str());
    assert!(status["version"].is_string());
    let mode = fs::metadata(machine.socket())
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // The engine can answer before the warden has said so.
    wait::until_true(
        "the console tells the boot",
        Duration::from_secs(10),
        || {
            let logs = machine.slipway(&["machine", "logs"]).run().ok();
            logs.contains("slipway: step engine")
        },
    );
    // Nothing of ours listens on the network.
    let mine: Vec<String> = [Some(pid), machine.service_pid()]
        .into_iter()
        .flatten()
        .flat_map(sockets)
        .collect();
    for line in fs::read_to_string("/proc/net/tcp")
        .expect("sockets")
        .lines()
        .skip(1)
    {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listening = fields.get(3) == Some(&"0A");
        assert!(
            !(listening
                && mine
                    .iter()
                    .any(|inode| fields.get(9) == Some(&inode.as_str()))),
            "{line}"
        );
    }
}

/// `ACCELERATOR LINK` that the machine must have come up with.
const WANTED: &str = "SLIPWAY_TEST_MACHINE";

/// Everybody on the computer reaches a guest's vsock, so it takes more than that to be heard.
fn strangers(machine: &Machine) {
    let record = fs::read_to_string(machine.home().join("run/machine.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("a record");
    let vsock = |channel: &str| {
        let number = |key: &str| record[channel]["vsock"][key].as_u64();
        Some((number("cid")?, number("port")?))
    };
    let link = if vsock("link").is_some() {
        "vsock"
    } else {
        "serial"
    };
    if let Ok(wanted) = std::env::var(WANTED) {
        let accelerator = record["accelerator"].as_str().expect("an accelerator");
        assert_eq!(format!("{accelerator} {link}"), wanted);
    }
    for (cid, port) in ["link", "ports"].into_iter().filter_map(vsock) {
        for user in [0, 65534] {
            let script = format!(
                "import os, socket\n\
                 os.setuid({user})\n\
                 stranger = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)\n\
                 stranger.settimeout(60)\n\
                 stranger.connect(({cid}, {port}))\n\
                 print('connected')\n\
                 try:\n\
                 \x20   stranger.sendall(b'x' * 1000)\n\
                 \x20   print(stranger.recv(1000))\n\
                 except ConnectionError:\n\
                 \x20   print(b'')\n"
            );
            let python = places::in_path("python3").expect("python3");
            let said = Program::new(&python).args(["-c", &script]).run().ok();
            assert_eq!(said, "connected\nb''\n");
        }
    }
    assert_eq!(machine.api("GET", "/_ping", b"").text(), "OK");
}

/// Inodes of a process's sockets.
fn sockets(pid: u32) -> Vec<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors");
    descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let target = target.to_str()?;
            Some(
                target
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect()
}

fn taken(machine: &Machine) {
    let folder = machine.home().join("machine");
    wait::until_true("the snapshot", Duration::from_secs(120), || {
        folder.join("snapshot.json").exists()
    });
    let mode = fs::metadata(folder.join("snapshot.state"))
        .expect("the snapshot")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // The machine for it is gone, with all that it needed.
    let left: Vec<String> = fs::read_dir(machine.home().join("run"))
        .expect("a folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.contains("snapshot") || name.contains("start"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Whether the current start came from the snapshot.
fn from_snapshot(machine: &Machine) -> bool {
    machine.status()["machine"]["snapshot"] == true
}

fn start_again(machine: &Machine) {
    let pid = machine.machine_pid();
    machine.start().ok();
    assert_eq!(machine.machine_pid(), pid);
}

fn second_service(machine: &Machine) {
    let ran = machine.slipwayd().within(Duration::from_secs(20)).run();
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("already running"), "{ran}");
    assert!(ran.stderr.contains("hint:"), "{ran}");
    assert_eq!(machine.api("GET", "/_ping", b"").text(), "OK");
}

fn fill(machine: &Machine) {
    machine.load_busybox().expect("busybox");
    let script = "echo kept > /data; echo said; exec sleep 100000";
    machine.run_detached(&["--name", "keeper"], &["sh", "-c", script]);
    machine.run(&[], &["true"]).ok();
}

/// What must be there after every kind of interruption.
fn check_kept(machine: &Machine) {
    let images = machine
        .docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
        .ok();
    assert!(images.lines().any(|line| line == busybox::NAME), "{images}");
    let names = machine
        .docker(&["ps", "-a", "--format", "{{.Names}}"])
        .text();
    assert_eq!(names, "keeper");
    assert!(
        machine
            .docker(&["logs", "keeper"])
            .ok()
            .starts_with("said\n")
    );
    let state = machine
        .docker(&["inspect", "--format", "{{.State.Status}}", "keeper"])
        .text();
    if state != "running" {
        assert_eq!(state, "exited");
        machine.docker(&["start", "keeper"]).ok();
    }
    assert_eq!(
        machine.docker(&["exec", "keeper", "cat", "/data"]).text(),
        "kept"
    );
    assert_eq!(machine.run(&[], &["echo", "works"]).text(), "works");
}

fn service_crash(machine: &Machine) {
    server::load(machine).expect("the server");
    server::run(machine, "web", &["-p", "127.0.0.1::80"]);
    let web = server::open_at(machine, "web", "80");
    let answers = || server::who(web).is_ok_and(|name| name == "web");
    wait::until_true("the port answers", Duration::from_secs(30), answers);
    let kill_service = || {
        let service = machine.service_pid().expect("slipwayd");
        wait::signal(service, Signal::KILL);
        wait::until_true("slipwayd is gone", Duration::from_secs(10), || {
            !wait::is_alive(service)
        });
        service
    };
    let service = kill_service();
    machine.start().ok();
    assert_ne!(machine.service_pid(), Some(service));
    // Published ports come back with it.
    wait::until_true("the port answers", Duration::from_secs(30), answers);
    let listed = &machine.status()["machine"]["ports"][0];
    assert_eq!(listed["address"], web.to_string().as_str());
    assert_eq!(listed["containers"][0], "web");
    // Somebody else has the port meanwhile: the container shows that it is not open.
    let listed = || machine.docker(&["ps", "--format", "{{.Ports}}"]).text();
    kill_service();
    let bind = || std::net::TcpListener::bind(web).ok();
    let theirs = wait::until("the port is free", Duration::from_secs(10), bind);
    machine.start().ok();
    wait::until_true("the port is not shown", Duration::from_secs(30), || {
        !listed().contains("->80/tcp")
    });
    let status = machine.slipway(&["machine", "status"]).run().ok();
    for words in [
        "The published ports of web are not open",
        "docker restart web",
    ] {
        assert!(status.contains(words), "{status}");
    }
    let report = machine.slipway(&["diagnose"]).run().ok();
    assert!(
        report.contains("The published ports of web are not open"),
        "{report}"
    );
    drop(theirs);
    kill_service();
    // The machine has outlived it, and that is what is told.
    let running = || machine.state() == "running";
    wait::until_true("the machine is found", Duration::from_secs(30), running);
    wait::until_true("the port is shown", Duration::from_secs(30), || {
        listed().contains(&format!("{web}->80/tcp"))
    });
    wait::until_true("the port answers", Duration::from_secs(30), answers);
    machine.docker(&["rm", "-f", "web"]).ok();
    check_kept(machine);
}

fn clean_stop(machine: &Machine) {
    let pid = machine.machine_pid().expect("a process");
    machine.stop().ok();
    assert_eq!(machine.state(), "stopped");
    assert!(!wait::is_alive(pid), "QEMU outlived the stop");
    disk::is_clean(machine.home());
    // Stopping what is stopped is fine.
    machine.stop().ok();
}

fn stopped(machine: &Machine) {
    let ran = machine.docker(&["ps"]).exits(1);
    let _ = ran.complains("slipway machine start");
}

fn restart(machine: &Machine) {
    machine.start().ok();
    assert!(from_snapshot(machine), "{}", machine.status());
    let state = machine
        .docker(&["inspect", "--format", "{{.State.Status}}", "keeper"])
        .text();
    assert_eq!(state, "exited");
    check_kept(machine);
}

fn machine_crash(machine: &Machine) {
    let pid = machine.machine_pid().expect("a process");
    wait::signal(pid, Signal::KILL);
    wait::until_true("the death is noticed", Duration::from_secs(10), || {
        machine.state() == "failed"
    });
    let status = machine.status();
    assert!(
        status["machine"]["error"]["message"].is_string(),
        "{status}"
    );
    let _ = machine
        .docker(&["ps"])
        .exits(1)
        .complains("slipway machine start");
    machine.start().ok();
    check_kept(machine);
}

fn restart_command(machine: &Machine) {
    let before = machine.machine_pid();
    machine
        .slipway(&["machine", "restart"])
        .within(tests::machine::BOOT)
        .run()
        .ok();
    assert_ne!(machine.machine_pid(), before);
    check_kept(machine);
}

fn damaged_snapshot(machine: &Machine) {
    // What two machines from one snapshot must not share, and what both must know.
    let mut seen = Vec::new();
    for _ in 0..2 {
        machine.stop().ok();
        machine.start().ok();
        assert!(from_snapshot(machine), "{}", machine.status());
        let script = "cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -t x1; \
                      date +%s";
        let said = machine.run(&[], &["sh", "-c", script]).text();
        let (random, now) = said.rsplit_once('\n').expect("two lines");
        let now: u64 = now.parse().expect("a time");
        let here = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
        assert!(now.abs_diff(here) < 20, "{now} is not {here}");
        seen.push(random.to_owned());
    }
    assert_ne!(seen[0], seen[1]);

    machine.stop().ok();
    let state = machine.home().join("machine/snapshot.state");
    let file = fs::File::options().write(true).open(&state);
    let file = file.expect("the snapshot");
    let length = file.metadata().expect("the snapshot").len();
    file.set_len(length / 2).expect("the snapshot");
    machine.start().ok();
    assert!(!from_snapshot(machine), "{}", machine.status());
    check_kept(machine);
}
