//! Our programs for Windows, with QEMU's, under Wine: the machine's life and the everyday commands.
//! `cargo xtask test --all` builds them.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tests::steps::{skip, unable};
use tests::wine::{QEMU, SERVICE};
use tests::{Ran, Steps, Wine, busybox, disk, server, wait};

/// How long something may take that happens behind an answer.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn the_windows_programs_work() {
    let Some(programs) = std::env::var_os("SLIPWAY_WINDOWS").map(PathBuf::from) else {
        return unable("SLIPWAY_WINDOWS does not name the folder with the programs for Windows");
    };
    let wine = match Wine::new(programs) {
        Ok(wine) => wine,
        Err(why) => return skip(&why),
    };
    let mut steps = Steps::begin();
    steps.step("before the first start", || absent(&wine));
    steps.step("start", || start(&wine));
    steps.step("the bundled image", || bundled(&wine));
    steps.step("an image from an archive", || load(&wine));
    steps.step("exit codes", || exit_codes(&wine));
    steps.step("standard streams", || streams(&wine));
    steps.step("logs", || logs(&wine));
    steps.step("a published port", || published(&wine));
    steps.step("a port that is taken", || taken(&wine));
    steps.step("a second slipwayd", || second_service(&wine));
    steps.step("kill -9 of slipwayd, then start", || service_crash(&wine));
    steps.step("stop leaves a clean file system", || clean_stop(&wine));
    steps.step("start after a stop keeps everything", || restart(&wine));
    steps.step("a machine that hangs makes room for a new one", || {
        hanging_machine(&wine);
    });
    steps.step("kill -9 of the machine, then start", || {
        machine_crash(&wine);
    });
    steps.step("nothing is left", || nothing_left(&wine));
    steps.end();
}

fn run(wine: &Wine, args: &[&str]) -> Ran {
    wine.slipway(args).run()
}

/// A container of the test image that runs to its end.
fn once(wine: &Wine, command: &[&str]) -> Ran {
    run(
        wine,
        &[&["run", "--rm", busybox::NAME][..], command].concat(),
    )
}

/// A container of the test image in the background.
fn detached(wine: &Wine, name: &str, options: &[&str], script: &str) {
    let args = [
        &["run", "-d", "--name", name],
        options,
        &[busybox::NAME, "sh", "-c", script],
    ]
    .concat();
    run(wine, &args).ok();
}

fn absent(wine: &Wine) {
    let status = wine.status();
    assert_eq!(status["machine"]["state"], "absent", "{status}");
    assert!(!wine.home().join("machine/data.raw").exists());
}

fn start(wine: &Wine) {
    wine.start().ok();
    let status = wine.status();
    let machine = &status["machine"];
    assert_eq!(machine["state"], "running", "{status}");
    assert_eq!(machine["driver"], "qemu", "{status}");
    // Wine has no WHPX: it was tried, and is told of.
    assert_eq!(machine["accelerator"], "tcg", "{status}");
    let note = machine["accelerator_note"].as_str().expect("a note");
    assert!(note.starts_with("whpx: "), "{status}");
    assert_eq!(machine["snapshot"], false, "{status}");
    assert!(machine["error"].is_null(), "{status}");
    let endpoint = status["api"]["endpoint"].as_str().expect("an endpoint");
    assert!(endpoint.starts_with("npipe:////./pipe/"), "{status}");
    assert!(wine.process(QEMU).is_some() && wine.process(SERVICE).is_some());
    let text = run(wine, &["status"]).ok();
    assert!(
        text.contains("running") && text.contains(endpoint),
        "{text}"
    );
    let report = run(wine, &["diagnose"]).ok();
    assert!(report.contains("whpx: "), "{report}");
    // The engine can answer before the warden has said so.
    wait::until_true("the console tells the boot", SOON, || {
        let console = run(wine, &["machine", "logs"]).ok();
        console.contains("slipway: step engine")
    });
}

fn bundled(wine: &Wine) {
    let said = run(wine, &["run", "--rm", "slipway/hello"]).ok();
    assert!(said.contains("Your containers work."), "{said}");
}

fn load(wine: &Wine) {
    let image = busybox::Image::make().expect("busybox");
    let archive = wine.home().join("busybox.tar");
    image.write_archive(&archive);
    let said = run(wine, &["load", "-i", &Wine::path(&archive)]).ok();
    assert!(said.contains(busybox::NAME), "{said}");
    let inspected = run(wine, &["inspect", "-f", "{{.Id}}", busybox::NAME]).text();
    assert_eq!(inspected, image.id());
}

fn exit_codes(wine: &Wine) {
    let _ = once(wine, &["sh", "-c", "exit 7"]).exits(7);
    let _ = once(wine, &["nonesuch"]).exits(127).complains("nonesuch");
    let _ = once(wine, &["/etc/passwd"])
        .exits(126)
        .complains("ermission denied");
    let _ = run(wine, &["run", "--rm", "--pull", "never", "nowhere"])
        .exits(125)
        .complains("No such image: nowhere");
    let _ = run(wine, &["stop", "nowhere"])
        .exits(1)
        .complains("No such container: nowhere");
    let _ = run(wine, &["nonsense"]).exits(2);
}

fn streams(wine: &Wine) {
    let script = "echo out; echo err >&2";
    let ran = once(wine, &["sh", "-c", script]).exits(0);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("out\n", "err\n"), "{ran}");
    // More than any buffer on the way holds, and its end.
    let input: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    let ran = wine
        .slipway(&["run", "--rm", "-i", busybox::NAME, "cat"])
        .input(input.clone())
        .run()
        .exits(0);
    assert!(ran.stdout == input, "{ran}");
}

fn logs(wine: &Wine) {
    detached(wine, "speaker", &[], "echo said; echo 말했다 >&2; exit 3");
    assert_eq!(run(wine, &["wait", "speaker"]).text(), "3");
    let ran = run(wine, &["logs", "speaker"]).exits(0);
    assert_eq!(
        (&*ran.stdout, &*ran.stderr),
        ("said\n", "말했다\n"),
        "{ran}"
    );
    run(wine, &["rm", "speaker"]).ok();
}

const WEB: &str = "mkdir /www; echo web > /www/index.html; exec httpd -f -p 80 -h /www";

fn published(wine: &Wine) {
    detached(wine, "web", &["-p", "127.0.0.1::80"], WEB);
    answers(open_port(wine));
}

/// Where the only published port is open.
fn open_port(wine: &Wine) -> SocketAddr {
    let status = wine.status();
    let ports = status["machine"]["ports"].as_array().expect("ports");
    assert_eq!(ports.len(), 1, "{status}");
    assert_eq!(ports[0]["containers"][0], "web", "{status}");
    let address = ports[0]["address"].as_str().expect("an address");
    address.parse().expect("an address")
}

/// The web server answers programs of this system, too.
fn answers(web: SocketAddr) {
    wait::until_true("the port answers", SOON, || {
        server::who(web).is_ok_and(|said| said == "web\n")
    });
}

fn taken(wine: &Wine) {
    let theirs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = theirs.local_addr().expect("a port").to_string();
    let publish = format!("{address}:80");
    let args = ["run", "--rm", "-p", &publish, busybox::NAME, "true"];
    let ran = run(wine, &args)
        .exits(125)
        .complains(&address)
        .complains("address already in use");
    assert!(ran.stderr.contains("hint: "), "{ran}");
    drop(theirs);
    run(wine, &args).ok();
}

fn second_service(wine: &Wine) {
    let ran = wine.slipwayd().run().exits(1);
    assert!(ran.stderr.contains("already running"), "{ran}");
    assert!(ran.stderr.contains("hint: "), "{ran}");
    bundled(wine);
}

/// The boot that a container is in.
fn boot(wine: &Wine) -> String {
    let file = "/proc/sys/kernel/random/boot_id";
    run(wine, &["exec", "web", "cat", file]).text()
}

fn service_crash(wine: &Wine) {
    let (before, boot_before, web) = (wine.status(), boot(wine), open_port(wine));
    wine.kill(SERVICE);
    assert!(
        wine.process(QEMU).is_some(),
        "the machine died with slipwayd"
    );
    wine.start().ok();
    let after = wine.status();
    for what in ["pid", "boot_ms", "accelerator", "accelerator_note", "steps"] {
        assert_eq!(after["machine"][what], before["machine"][what], "{after}");
    }
    assert_eq!(boot(wine), boot_before);
    // Published ports come back with it.
    wait::until_true("the port is open", SOON, || {
        wine.status()["machine"]["ports"][0]["address"] == *web.to_string()
    });
    answers(web);
}

fn clean_stop(wine: &Wine) {
    let qemu = wine.process(QEMU).expect("QEMU");
    // The slipwayd that is told to stop it has to find it first.
    wine.kill(SERVICE);
    run(wine, &["machine", "stop"]).ok();
    assert_eq!(wine.status()["machine"]["state"], "stopped");
    let log = fs::read_to_string(wine.home().join("logs/slipwayd.log")).expect("a log");
    assert!(!log.contains("ended by force"), "{log}");
    assert!(!wait::is_alive(qemu), "QEMU outlived the stop");
    disk::is_clean(&wine.home());
    // Stopping what is stopped is fine.
    run(wine, &["machine", "stop"]).ok();
}

fn restart(wine: &Wine) {
    wine.start().ok();
    let state = ["inspect", "-f", "{{.State.Status}}", "web"];
    assert_eq!(run(wine, &state).text(), "exited");
    run(wine, &["start", "web"]).ok();
    answers(open_port(wine));
}

fn hanging_machine(wine: &Wine) {
    let qemu = wine.process(QEMU).expect("QEMU");
    wait::signal(qemu, Signal::STOP);
    wine.kill(SERVICE);
    restart(wine);
    assert!(!wait::is_alive(qemu), "it has the data disk still");
}

fn machine_crash(wine: &Wine) {
    wine.kill(QEMU);
    let failed = || wine.status()["machine"]["state"] == "failed";
    wait::until_true("the death is noticed", SOON, failed);
    restart(wine);
}

fn nothing_left(wine: &Wine) {
    run(wine, &["machine", "stop"]).ok();
    for name in ["machine.json", "keys"] {
        assert!(!wine.home().join("run").join(name).exists(), "{name}");
    }
    // Only a console's Ctrl-C ends it gently.
    let service = wine.process(SERVICE).expect("slipwayd");
    wait::signal(service, Signal::KILL);
    wait::until_true("none of our programs runs", SOON, || {
        let ours = ["slipway", "qemu"];
        let mut processes = wine.processes().into_iter();
        !processes.any(|process| ours.iter().any(|name| process.name.starts_with(name)))
    });
    wine.shut_down();
}
