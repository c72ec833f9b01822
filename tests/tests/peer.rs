//! The scenario against Docker's own daemon: what we expect of ourselves is what Docker does.
//! Start a `dockerd` 28.x by hand and name its socket in `SLIPWAY_TEST_PEER`; the registry must be
//! reachable for it, so run this in its network namespace.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use tests::registry::Registry;
use tests::steps::{skip, unable};
use tests::{Machine, Steps, scenario};

#[test]
fn expectations_are_dockers_own() {
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
