//! Volumes by our own command: their files backed up to this computer, restored, cloned, browsed.

use std::time::Duration;

use crate::{Driver, Machine, Ran, Steps, wait};

pub(super) fn steps(machine: &Machine, steps: &mut Steps) {
    if machine.driver() == Driver::Docker {
        return;
    }
    steps.step("slipway volume and network", || life(machine));
    steps.step("volume backup, restore, clone and browse", || {
        files(machine)
    });
    steps.step("volume backup --pause whose client is killed", || {
        killed(machine);
    });
}

fn slipway(machine: &Machine, args: &[&str]) -> Ran {
    machine.slipway(args).within(Duration::from_secs(120)).run()
}

fn life(machine: &Machine) {
    let made = slipway(machine, &["volume", "create", "--label", "a=b", "own"]);
    assert_eq!(made.text(), "own");
    assert_eq!(
        slipway(machine, &["volume", "ls", "-q"]).ok(),
        machine.docker(&["volume", "ls", "-q"]).ok()
    );
    assert_eq!(
        slipway(machine, &["volume", "inspect", "own"]).ok(),
        machine.docker(&["volume", "inspect", "own"]).ok()
    );
    let subnet = ["network", "create", "--subnet", "10.66.0.0/24", "ours"];
    assert_eq!(slipway(machine, &subnet).text().len(), 64);
    assert_eq!(
        slipway(machine, &["network", "ls"]).ok(),
        machine.docker(&["network", "ls"]).ok()
    );
    machine.run_detached(&["--name", "joins"], &["sleep", "1000"]);
    let connect = ["network", "connect", "--ip", "10.66.0.7", "ours", "joins"];
    slipway(machine, &connect).ok();
    let addresses = machine.docker(&["exec", "joins", "ip", "-4", "addr"]).ok();
    assert!(addresses.contains("10.66.0.7/24"), "{addresses}");
    slipway(machine, &["network", "disconnect", "ours", "joins"]).ok();
    machine.docker(&["rm", "-f", "joins"]).ok();
    assert_eq!(slipway(machine, &["network", "rm", "ours"]).text(), "ours");
    assert_eq!(slipway(machine, &["volume", "rm", "own"]).text(), "own");
    let pool = ["network", "subnets", "--pool", "10.88.0.0/16:24"];
    let _ = slipway(machine, &pool).says("10.88.0.0/16");
    slipway(machine, &["network", "create", "pooled"]).ok();
    let format = "{{(index .IPAM.Config 0).Subnet}}";
    let subnet = machine.docker(&["network", "inspect", "--format", format, "pooled"]);
    assert_eq!(subnet.text(), "10.88.0.0/24");
    slipway(machine, &["network", "rm", "pooled"]).ok();
    let wrong = ["network", "subnets", "--pool", "10.88.0.0/16:8"];
    let _ = slipway(machine, &wrong).exits(1).complains("size");
    slipway(machine, &["network", "subnets", "--reset"]).ok();
}

/// All that a container sees of a volume's files.
fn look(machine: &Machine, volume: &str) -> String {
    let script = "cd /v && find . | sort | xargs stat -c '%n %F %a %u:%g %h %s %Y %t:%T' && md5sum db/pages holes && du -k holes && readlink link";
    let mount = format!("{volume}:/v");
    machine.run(&["-v", &mount], &["sh", "-c", script]).ok()
}

fn files(machine: &Machine) {
    let script = "[ -e /v/db ] || (mkdir -m 2750 /v/db && dd if=/dev/urandom of=/v/db/pages bs=64k count=32 2>/dev/null && chown -R 999:70 /v/db && ln /v/db/pages /v/same && ln -s /etc/passwd /v/link && mknod /v/null c 1 3 && mkfifo /v/fifo && dd if=/dev/urandom of=/v/holes bs=1k count=4 seek=20000 2>/dev/null && touch -d '2001-02-03 04:05:06' /v/same); exec sleep 1000";
    machine.run_detached(
        &["--name", "db", "--stop-timeout", "1", "-v", "data:/v"],
        &["sh", "-c", script],
    );
    wait::until_true("it is filled", Duration::from_secs(30), || {
        let date = ["exec", "db", "stat", "-c", "%Y", "/v/same"];
        machine.docker(&date).stdout == "981173106\n"
    });
    let wanted = look(machine, "data");
    let file = machine.home().join("data.tar.zst");
    let file = file.to_str().expect("a path");
    let warned = slipway(machine, &["volume", "backup", "data", "-o", file]).exits(0);
    let _ = warned.complains("db may write meanwhile");
    let paused = ["--json", "volume", "backup", "--pause", "-o", file, "data"];
    let about: serde_json::Value =
        serde_json::from_str(&slipway(machine, &paused).ok()).expect("JSON");
    assert_eq!(about["paused"][0], "db", "{about}");
    assert_eq!(state(machine, "db"), "running");

    slipway(machine, &["volume", "restore", "twin", file]).ok();
    assert_eq!(look(machine, "twin"), wanted);
    slipway(machine, &["volume", "clone", "data", "third"]).ok();
    assert_eq!(look(machine, "third"), wanted);
    let list = slipway(machine, &["volume", "browse", "third", "db"]).ok();
    assert!(
        list.contains("-rw-r--r--") && list.contains("999:70") && list.contains("/db/pages"),
        "{list}"
    );
    let _ = slipway(machine, &["volume", "cat", "third", "link"])
        .exits(1)
        .complains("has no file /link");

    // What is damaged or in use changes nothing.
    let mut damaged = std::fs::read(file).expect("the archive");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x40;
    let bad = machine.home().join("bad.tar.zst");
    std::fs::write(&bad, damaged).expect("a place for it");
    let bad = bad.to_str().expect("a path");
    let _ = slipway(machine, &["volume", "restore", "-f", "twin", bad]).exits(1);
    assert_eq!(look(machine, "twin"), wanted);
    let _ = slipway(machine, &["volume", "restore", "-f", "data", file])
        .exits(1)
        .complains("used by containers that run: db");
    machine.docker(&["exec", "db", "rm", "/v/same"]).ok();
    let stop = ["volume", "restore", "-f", "--stop", "data", file];
    let _ = slipway(machine, &stop)
        .exits(0)
        .complains("db was stopped and started again");
    assert_eq!(state(machine, "db"), "running");
    machine.docker(&["rm", "-f", "db"]).ok();
    machine
        .docker(&["volume", "rm", "data", "twin", "third"])
        .ok();
}

fn state(machine: &Machine, name: &str) -> String {
    let format = "{{.State.Status}}";
    machine
        .docker(&["inspect", "--format", format, name])
        .text()
}

fn killed(machine: &Machine) {
    let script =
        "dd if=/dev/urandom of=/v/big bs=1M count=60 2>/dev/null; echo full; exec sleep 1000";
    let options = ["--name", "frozen", "-v", "data:/v"];
    machine.run_detached(&options, &["sh", "-c", script]);
    wait::until_true("it is filled", Duration::from_secs(60), || {
        machine.docker(&["logs", "frozen"]).stdout == "full\n"
    });
    // Nobody reads the pipe: the backup waits in the middle.
    let pipe = machine.home().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("a pipe");
    let reader = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("the pipe");
    let path = pipe.to_str().expect("a path");
    let mut client = machine
        .slipway(&["volume", "backup", "--pause", "-o", path, "data"])
        .start();
    wait::until_true("it is paused", Duration::from_secs(30), || {
        state(machine, "frozen") == "paused"
    });
    wait::signal(client.pid(), rustix::process::Signal::KILL);
    client.wait();
    drop(reader);
    wait::until_true("it goes on", Duration::from_secs(30), || {
        state(machine, "frozen") == "running"
    });
    machine.docker(&["rm", "-f", "frozen"]).ok();
    machine.docker(&["volume", "rm", "data"]).ok();
}
