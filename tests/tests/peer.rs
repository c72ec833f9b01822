//! The scenario against Docker's own daemon: what we expect of ourselves is what Docker does.
//! `cargo xtask test --all` unpacks a daemon for it; one that was started by hand is named by its
//! socket in `SLIPWAY_TEST_PEER`, with this test in its network namespace, where the registry is.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use std::env;
use std::process::Command;

use tests::peers::{self, Peer};
use tests::registry::Registry;
use tests::steps::{skip, unable};
use tests::{Machine, Steps, machine, scenario};

#[test]
fn expectations_are_dockers_own() {
    if env::var_os(machine::PEER).is_none() && env::var_os(peers::PEERS).is_some() {
        return beside_a_daemon();
    }
    let machine = match Machine::peer() {
        Ok(machine) => machine,
        // Nobody has to have a Docker daemon, so this is no lack of the test machine.
        Err(why) => return unable(&why),
    };
    let registry = match Registry::start() {
        Ok(registry) => registry,
        Err(why) => return skip(&why),
    };
    let mut steps = Steps::begin();
    scenario::run(&machine, &registry, &mut steps);
    steps.end();
}

/// Runs this test again in the network of a daemon that was started for it.
fn beside_a_daemon() {
    let daemon = match Peer::dockerd() {
        Ok(daemon) => daemon,
        Err(why) => return skip(&why),
    };
    let status = Command::new("nsenter")
        .args(["--target", &daemon.pid().to_string(), "--net"])
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", "expectations_are_dockers_own", "--nocapture"])
        .env(machine::PEER, daemon.socket())
        .status()
        .expect("nsenter");
    assert!(
        status.success(),
        "Docker does not do what we expect: see above"
    );
}
