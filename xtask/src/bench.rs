//! `cargo xtask bench NAME`: measures Slipway against a peer in the same run and ends with a line a
//! figure: `bench NAME/FIGURE ours=… peer=… ratio=… line=… ok|short`.

mod boot;
mod containers;
mod ports;

use std::process::Command;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::progress::{run, say};
use crate::project::{Project, cargo};
use crate::setup::{self, Need};
use crate::{build, peers};

/// What to measure.
#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// From `slipway machine start` to the API's first answer, against an empty init
    Boot,
    /// Containers without a machine, against bare system calls, runc and Docker's daemon
    Containers,
    /// Images without a machine, against Docker's daemon and the least that the work costs
    Images,
    /// Networks without a machine, against Docker's daemon and the kernel's own bridge
    Network,
    /// Published ports of a container in the machine, against QEMU's own port forwarding
    Ports,
}

/// How to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// What to measure
    name: Name,
    /// How many times each side runs, in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure what is built already
    #[arg(long)]
    as_built: bool,
}

/// `cargo xtask bench`.
pub(crate) fn command(project: &Project, options: &Options) -> Result<()> {
    match options.name {
        Name::Boot => {
            if !options.as_built {
                boot::prepare(project)?;
            }
            boot::bench(project, options.rounds)
        }
        Name::Containers => containers::bench(project, options.rounds, options.as_built),
        Name::Images => without_machine(project, "images", options),
        Name::Network => without_machine(project, "network", options),
        Name::Ports => ports::bench(project, options.rounds, options.as_built),
    }
}

/// Prepares and runs a measurement of our engine as it is shipped, without the machine.
fn without_machine(project: &Project, name: &str, options: &Options) -> Result<()> {
    setup::system(&[Need::Build, Need::Tests])?;
    setup::tools(project)?;
    if !options.as_built {
        build::guest(project)?;
    }
    run(&mut measurement(project, name, options.rounds)?)
}

/// A measurement of `tests/benches`, told where all that it needs is.
fn measurement(project: &Project, name: &str, rounds: u32) -> Result<Command> {
    let mut command = Command::new(cargo());
    command
        .current_dir(&project.root)
        .args(["bench", "--quiet", "--package", "tests", "--bench", name])
        .env("SLIPWAY_BENCH_ROUNDS", rounds.to_string())
        .env("SLIPWAY_PEERS", peers::dockerd(project)?)
        .env("SLIPWAY_TEST_TOOLS", project.tools())
        .env("SLIPWAY_GUEST_DIR", project.guest_programs());
    Ok(command)
}

/// Prints a figure's line; a ratio above the line is an error.
fn report(figure: &str, ours: u64, peer: u64, line: f64) -> Result<()> {
    let ratio = to_float(ours) / to_float(peer.max(1));
    let verdict = if ratio <= line { "ok" } else { "short" };
    say(format_args!(
        "bench {figure} ours={ours}ms peer={peer}ms ratio={ratio:.2} line={line:.2} {verdict}"
    ));
    if ratio > line {
        bail!("{figure}: {ratio:.2} is above the line of {line:.2}");
    }
    Ok(())
}

fn to_float(milliseconds: u64) -> f64 {
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}

/// The middle of the sorted figures.
fn median(figures: &[u64]) -> u64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[5, 1, 9]), 5);
        assert_eq!(median(&[]), 0);
    }

    #[test]
    fn a_ratio_above_the_line_is_short() {
        assert!(report("x/y", 120, 100, 1.25).is_ok());
        assert!(report("x/y", 130, 100, 1.25).is_err());
    }
}
