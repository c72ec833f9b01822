//! The `slipway` command as a person uses it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

use serde_json::Value;
use tests::steps::skip;
use tests::{Driver, Machine, Ran, Steps, busybox};

#[test]
fn usage_errors_need_no_machine() {
    let machine = match Machine::absent(Driver::Qemu) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    for args in [
        &["nonsense"][..],
        &["run"],
        &["machine", "start", "--driver", "magic"],
        &["ps", "--nonsense"],
    ] {
        let ran = machine.slipway(args).run().exits(2);
        assert!(
            ran.stderr.contains("error:") || ran.stderr.contains("Usage"),
            "{ran}"
        );
    }
    let help = machine.slipway(&["--help"]).run().ok();
    for word in [
        "run", "ps", "stop", "start", "logs", "exec", "rm", "images", "pull", "rmi", "machine",
        "status", "diagnose",
    ] {
        assert!(help.contains(word), "no {word} in {help}");
    }
    let version = machine.slipway(&["--version"]).run().text();
    assert!(version.starts_with("slipway "), "{version}");
    let bash = machine.slipway(&["completions", "bash"]).run().ok();
    assert!(bash.contains("complete"), "{bash}");
    // None of this has started anything.
    assert!(machine.service_pid().is_none());
}

#[test]
fn everyday_commands() {
    let machine = match Machine::absent(Driver::Qemu) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let mut steps = Steps::begin();
    steps.step("run starts the machine", || first_run(&machine));
    steps.step("status", || status(&machine));
    steps.step("images", || images(&machine));
    steps.step("containers", || containers(&machine));
    steps.step("exit codes", || exit_codes(&machine));
    steps.step("diagnose", || diagnose(&machine));
    steps.step("machine stop", || stop(&machine));
    steps.end();
}

fn json(ran: Ran) -> Value {
    let text = ran.ok();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON: {error}: {text}"))
}

fn slipway(machine: &Machine, args: &[&str]) -> Ran {
    machine.slipway(args).within(tests::machine::BOOT).run()
}

fn first_run(machine: &Machine) {
    let ran = slipway(machine, &["run", "--rm", "slipway/hello"]).exits(0);
    assert!(ran.stdout.to_lowercase().contains("slipway"), "{ran}");
}

fn status(machine: &Machine) {
    let status = json(slipway(machine, &["status", "--json"]));
    assert_eq!(status["machine"]["state"], "running");
    let again = json(slipway(machine, &["machine", "status", "--json"]));
    assert_eq!(status["machine"]["pid"], again["machine"]["pid"]);
    assert_eq!(status["api"], again["api"]);
    let endpoint = status["api"]["endpoint"].as_str().expect("an endpoint");
    let text = slipway(machine, &["status"]).ok();
    assert!(
        text.contains("running") && text.contains(endpoint),
        "{text}"
    );
}

fn images(machine: &Machine) {
    let image = busybox::Image::make().expect("busybox");
    let path = machine.home().join("busybox.tar");
    image.write_archive(&path);
    slipway(machine, &["load", "-i", path.to_str().expect("a path")]).ok();
    let table = slipway(machine, &["images"]).ok();
    assert!(
        table.contains("slipway-test/busybox") && table.contains("slipway/hello"),
        "{table}"
    );
    let list = json(slipway(machine, &["images", "--json"]));
    assert_eq!(list.as_array().expect("a list").len(), 2, "{list}");
    let inspected = json(slipway(machine, &["inspect", busybox::NAME]));
    assert_eq!(inspected[0]["Id"], image.id().as_str());
}

fn containers(machine: &Machine) {
    let id = slipway(
        machine,
        &[
            "run",
            "-d",
            "--name",
            "box",
            busybox::NAME,
            "sh",
            "-c",
            "echo words; exec sleep 1000",
        ],
    )
    .text();
    assert_eq!(id.len(), 64);
    let table = slipway(machine, &["ps"]).ok();
    assert!(
        table.contains("box") && table.contains(&id[..12]),
        "{table}"
    );
    let list = json(slipway(machine, &["ps", "--json"]));
    assert_eq!(list[0]["Id"], id.as_str(), "{list}");
    tests::wait::until_true("it has spoken", std::time::Duration::from_secs(30), || {
        slipway(machine, &["logs", "box"]).stdout == "words\n"
    });
    let ran = slipway(machine, &["exec", "box", "sh", "-c", "echo inside; exit 4"]).exits(4);
    assert_eq!(ran.stdout, "inside\n");
    assert_eq!(slipway(machine, &["stop", "-t", "1", "box"]).text(), "box");
    assert_eq!(slipway(machine, &["start", "box"]).text(), "box");
    let _ = slipway(machine, &["rm", "box"])
        .exits(1)
        .complains("running");
    assert_eq!(slipway(machine, &["rm", "-f", "box"]).text(), "box");
    let input = machine
        .slipway(&["run", "--rm", "-i", busybox::NAME, "wc", "-c"])
        .input("12345")
        .run();
    assert_eq!(input.text(), "5");
}

fn exit_codes(machine: &Machine) {
    let run = |args: &[&str]| {
        let mut all = vec!["run", "--rm", busybox::NAME];
        all.extend(args);
        slipway(machine, &all)
    };
    let _ = run(&["sh", "-c", "exit 42"]).exits(42);
    let _ = run(&["nonesuch"]).exits(127).complains("nonesuch");
    let _ = run(&["/etc/passwd"])
        .exits(126)
        .complains("ermission denied");
    let _ = slipway(machine, &["run", "--rm", "127.0.0.1:1/nowhere"]).exits(125);
    let ran = slipway(machine, &["stop", "nowhere"]).exits(1);
    assert!(
        ran.stderr.contains("error:") && ran.stderr.contains("No such container: nowhere"),
        "{ran}"
    );
}

fn diagnose(machine: &Machine) {
    let text = slipway(machine, &["diagnose"]).ok();
    assert!(text.contains("running") && text.contains("qemu"), "{text}");
}

fn stop(machine: &Machine) {
    slipway(machine, &["machine", "stop"]).ok();
    assert_eq!(machine.state(), "stopped");
}
