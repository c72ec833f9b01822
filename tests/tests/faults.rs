//! Bad input and bad surroundings: one clear error with a hint each, and nothing is damaged.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use std::fs;
use std::time::Duration;

use tests::busybox::{self, Image};
use tests::registry::Registry;
use tests::steps::skip;
use tests::{Driver, Machine, Ran, Steps};

/// One error: what happened, and what to do next.
#[track_caller]
fn one_clear_error(ran: &Ran, about: &str) {
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.stderr.matches("error:").count(), 1, "{ran}");
    assert_eq!(ran.stderr.matches("hint:").count(), 1, "{ran}");
    assert!(ran.stderr.contains(about), "expected {about:?} from {ran}");
    assert!(!ran.stderr.contains("panicked"), "{ran}");
}

#[test]
fn a_home_with_a_long_path() {
    let machine = match Machine::absent(Driver::Qemu) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let long = machine.home().join("x".repeat(120));
    let long = long.to_str().expect("a path");
    let started = machine
        .slipway(&["machine", "start"])
        .env("SLIPWAY_HOME", long)
        .run();
    one_clear_error(&started, "socket path");
    let service = machine.slipwayd().env("SLIPWAY_HOME", long).run();
    one_clear_error(&service, "socket path");
    assert!(
        !fs::exists(long).expect("a look"),
        "a home was made that can't be used"
    );
}

#[test]
fn qemu_that_is_not_there() {
    let machine = match Machine::absent(Driver::Qemu) {
        Ok(machine) => machine.with("SLIPWAY_QEMU", "/nonexistent/qemu"),
        Err(why) => return skip(&why),
    };
    one_clear_error(&machine.start(), "/nonexistent/qemu");
    assert_eq!(machine.state(), "failed");
    let folder = machine.home().join("empty");
    fs::create_dir(&folder).expect("a folder");
    let mut machine = machine;
    machine.end_service(rustix::process::Signal::TERM);
    machine.set("SLIPWAY_QEMU", "");
    machine.set("PATH", folder.to_str().expect("a path"));
    let ran = machine.start();
    one_clear_error(&ran, "QEMU");
}

#[test]
fn a_home_that_cannot_be_written() {
    let machine = match Machine::absent(Driver::Qemu) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let file = machine.home().join("file");
    fs::write(&file, "not a folder").expect("a file");
    let file = file.to_str().expect("a path");
    let ran = machine
        .slipway(&["machine", "start"])
        .env("SLIPWAY_HOME", file)
        .run();
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        ran.stderr.contains("error:") && ran.stderr.contains(file),
        "{ran}"
    );
    assert_eq!(fs::read_to_string(file).expect("the file"), "not a folder");
}

#[test]
fn images_and_disks() {
    let registry = match Registry::start() {
        Ok(registry) => registry,
        Err(why) => return skip(&why),
    };
    let machine = match Machine::absent(Driver::Qemu) {
        Ok(machine) => machine.with("SLIPWAY_DISK_GB", "1"),
        Err(why) => return skip(&why),
    };
    machine.start().ok();
    let mut steps = Steps::begin();
    steps.step("a truncated archive", || truncated(&machine));
    steps.step("an archive of noise", || noise(&machine));
    steps.step("a layer with the wrong digest", || wrong_layer(&machine));
    steps.step("a registry that serves other bytes", || {
        corrupt_blob(&machine, &registry)
    });
    steps.step("a registry that isn't there", || no_registry(&machine));
    steps.step("all is well afterwards", || well(&machine));
    steps.step("a full disk", || full_disk(&machine));
    steps.step("all is well with room again", || well(&machine));
    steps.end();
}

/// No image and no blob is left of what was refused.
fn nothing_loaded(machine: &Machine) {
    let names = machine
        .docker(&["images", "--format", "{{.Repository}}"])
        .ok();
    assert!(
        !names.contains("slipway-test") && !names.contains("127.0.0.1"),
        "{names}"
    );
}

fn load(machine: &Machine, bytes: Vec<u8>) -> Ran {
    machine.docker_command(&["load"]).input(bytes).run()
}

fn archive(machine: &Machine, image: &Image) -> Vec<u8> {
    let path = machine.home().join("archive.tar");
    image.write_archive(&path);
    fs::read(path).expect("the archive")
}

fn truncated(machine: &Machine) {
    let image = Image::make().expect("busybox");
    let bytes = archive(machine, &image);
    for part in [3, 2] {
        let cut = bytes[..bytes.len() / part + 100].to_vec();
        let ran = load(machine, cut).exits(1);
        // Docker says "unexpected EOF", which nobody understands.
        assert!(ran.stderr.contains("the archive is cut off"), "{ran}");
    }
    nothing_loaded(machine);
}

fn noise(machine: &Machine) {
    let ran = load(machine, vec![0x5a; 100_000]).exits(1);
    assert!(!ran.stderr.is_empty(), "{ran}");
    let ran = load(machine, Vec::new()).exits(1);
    assert!(!ran.stderr.is_empty(), "{ran}");
    nothing_loaded(machine);
}

fn wrong_layer(machine: &Machine) {
    let mut image = Image::make().expect("busybox");
    // The configuration promises another second layer.
    let last = image.layers.last_mut().expect("a layer");
    let place = last
        .windows(7)
        .position(|window| window == b"second\n")
        .expect("the text");
    last[place] = b'S';
    let ran = load(machine, archive(machine, &image)).exits(1);
    assert!(
        ran.stderr.contains("digest") || ran.stderr.contains("sha256"),
        "{ran}"
    );
    nothing_loaded(machine);
}

fn corrupt_blob(machine: &Machine, registry: &Registry) {
    let image = Image::make().expect("busybox");
    registry.push(&image, "bad", "latest");
    registry.corrupt(&busybox::digest(&image.compressed_layers()[1]));
    let name = format!("{}/bad:latest", registry.host);
    let ran = machine.docker(&["pull", &name]).exits(1);
    assert!(
        ran.stderr.contains("digest")
            || ran.stderr.contains("verif")
            || ran.stdout.contains("digest"),
        "{ran}"
    );
    let ran = machine.slipway(&["pull", &name]).run().exits(1);
    let _ = ran.complains("hint: pull again");
    nothing_loaded(machine);
}

fn no_registry(machine: &Machine) {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let name = format!("{}/busybox", free.expect("a port"));
    let ran = machine.docker(&["pull", &name]).exits(1);
    assert!(ran.stderr.contains("connection refused"), "{ran}");
}

fn well(machine: &Machine) {
    machine.load_busybox().expect("busybox");
    assert_eq!(machine.run(&[], &["cat", "/etc/replaced"]).text(), "second");
}

fn full_disk(machine: &Machine) {
    let script = ["sh", "-c", "echo old > /v/file"];
    machine.run(&["-v", "kept:/v"], &script).ok();
    machine.run_detached(&["--name", "filler"], &["sleep", "100000"]);
    let fill = [
        "exec",
        "filler",
        "dd",
        "if=/dev/zero",
        "of=/big",
        "bs=1M",
        "count=3000",
    ];
    let filled = machine
        .docker_command(&fill)
        .within(Duration::from_secs(300))
        .run();
    let _ = filled.exits(1).complains("No space left on device");
    let none = machine
        .slipway(&["run", "--rm", busybox::NAME, "true"])
        .run();
    let _ = none
        .exits(125)
        .complains("no space left on device: remove images")
        .complains("hint: ");

    machine.docker(&["tag", busybox::NAME, "kept:1"]);
    let mut image = Image::make().expect("busybox");
    // Another layer, large enough not to fit into what the file system keeps in reserve.
    let mut noise = Vec::with_capacity(80 << 20);
    let mut state = 1_u32;
    while noise.len() < 80 << 20 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.extend(state.to_le_bytes());
    }
    // A restore that does not fit leaves the volume's old files.
    let big = machine.home().join("big");
    fs::write(&big, &noise).expect("a place for it");
    let archive_of = |name: &str| machine.home().join(name).display().to_string();
    tests::Program::new("tar".as_ref())
        .args(["-C", &archive_of(""), "-cf", &archive_of("big.tar"), "big"])
        .run()
        .ok();
    let _ = machine
        .slipway(&["volume", "restore", "-f", "kept", &archive_of("big.tar")])
        .within(Duration::from_secs(120))
        .run()
        .exits(1)
        .complains("no space left on device");
    let look = |verb: &[&str]| machine.slipway(verb).run().ok();
    assert_eq!(look(&["volume", "cat", "kept", "file"]), "old\n");
    assert!(!look(&["volume", "browse", "kept"]).contains("big"));
    machine.docker(&["volume", "rm", "kept"]).ok();
    image.add_layer("big", &noise);
    let ran = load(machine, archive(machine, &image)).exits(1);
    assert!(
        ran.stderr
            .to_lowercase()
            .contains("no space left on device"),
        "{ran}"
    );
    // The engine lives on, tells the truth, and gives the room back.
    machine.docker(&["ps"]).ok();
    assert_eq!(
        machine.docker(&["exec", "filler", "echo", "alive"]).text(),
        "alive"
    );
    machine.docker(&["rm", "-f", "filler"]).ok();
    // What a container leaves is removed behind its back: the room comes back soon, not at once.
    let ample = Duration::from_secs(60);
    tests::wait::until_true("the room is given back", ample, || {
        load(machine, archive(machine, &image)).code == 0
    });
}
