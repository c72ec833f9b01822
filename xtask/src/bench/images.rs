//! Images: our engine as it is shipped, without the machine. The measurement itself is
//! `tests/benches/images`; this gets everything ready for it.

use std::process::Command;

use anyhow::Result;

use super::containers::peers;
use crate::build;
use crate::progress::run;
use crate::project::{Project, cargo};
use crate::setup::{self, Need};

/// Prepares and runs the measurement.
pub(super) fn bench(project: &Project, rounds: u32, as_built: bool) -> Result<()> {
    setup::system(&[Need::Build, Need::Tests])?;
    setup::tools(project)?;
    if !as_built {
        build::guest(project)?;
    }
    let peers = peers(project)?;
    run(Command::new(cargo())
        .current_dir(&project.root)
        .args([
            "bench",
            "--quiet",
            "--package",
            "tests",
            "--bench",
            "images",
        ])
        .env("SLIPWAY_BENCH_ROUNDS", rounds.to_string())
        .env("SLIPWAY_PEERS", peers)
        .env("SLIPWAY_TEST_TOOLS", project.tools())
        .env("SLIPWAY_GUEST_DIR", project.guest_programs()))
}
