//! What holds under every driver, step by step, as docker's own users would see it.

mod exec;
mod images;
mod lifecycle;
mod limits;
mod network;
mod running;
mod security;
mod system;

use crate::registry::Registry;
use crate::{Machine, Steps};

/// Runs all steps against a machine that runs.
pub fn run(machine: &Machine, registry: &Registry, steps: &mut Steps) {
    system::steps(machine, steps);
    images::steps(machine, registry, steps);
    running::steps(machine, steps);
    lifecycle::steps(machine, steps);
    exec::steps(machine, steps);
    limits::steps(machine, steps);
    security::steps(machine, steps);
    network::steps(machine, steps);
    images::removal(machine, steps);
}
