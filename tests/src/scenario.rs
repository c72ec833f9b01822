//! What holds under every driver, step by step, as docker's own users would see it.

mod answers;
mod exec;
mod files;
mod images;
mod life;
mod lifecycle;
mod limits;
mod network;
mod ports;
mod reach;
mod running;
mod security;
mod sharing;
mod system;
mod volumes;

use crate::registry::Registry;
use crate::{Machine, Steps};

/// Runs all steps against a machine that runs.
pub fn run(machine: &Machine, registry: &Registry, steps: &mut Steps) {
    clear(machine);
    machine.load_busybox().expect("busybox");
    system::steps(machine, steps);
    images::steps(machine, registry, steps);
    running::steps(machine, steps);
    clear(machine);
    lifecycle::steps(machine, steps);
    clear(machine);
    life::steps(machine, steps);
    clear(machine);
    exec::steps(machine, steps);
    answers::steps(machine, steps);
    files::steps(machine, steps);
    clear(machine);
    limits::steps(machine, steps);
    security::steps(machine, steps);
    sharing::steps(machine, steps);
    clear(machine);
    network::steps(machine, steps);
    reach::steps(machine, steps);
    clear(machine);
    volumes::steps(machine, steps);
    clear(machine);
    ports::steps(machine, steps);
    clear(machine);
    images::removal(machine, steps);
}

/// Removes what a failed step left, so that it doesn't make others fail.
fn clear(machine: &Machine) {
    let ids = machine.docker(&["ps", "-aq"]).ok();
    if !ids.is_empty() {
        let mut args = vec!["rm", "-f"];
        args.extend(ids.split_whitespace());
        machine.docker(&args).ok();
    }
}
