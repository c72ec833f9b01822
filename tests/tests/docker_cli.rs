//! The real docker CLI against the virtual machine.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use tests::registry::Registry;
use tests::steps::skip;
use tests::{Driver, Machine, Steps, isolation, scenario};

#[test]
fn docker_works_as_docker() {
    if !isolation::with_own_names("docker_works_as_docker") {
        return;
    }
    let registry = match Registry::start() {
        Ok(registry) => registry,
        Err(why) => return skip(&why),
    };
    let machine = match Machine::started(Driver::Qemu) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let mut steps = Steps::begin();
    scenario::run(&machine, &registry, &mut steps);
    steps.end();
}
