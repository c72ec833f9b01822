//! Published ports, against QEMU's own forwarding into the same machine. The measurement itself is
//! `tests/benches/ports`.

use std::process::Command;

use anyhow::Result;

use crate::progress::run;
use crate::project::{Project, cargo};
use crate::setup::{self, Need};
use crate::{build, image};

/// Prepares and runs the measurement.
pub(super) fn bench(project: &Project, rounds: u32, as_built: bool) -> Result<()> {
    setup::system(&[Need::Build, Need::Image, Need::Machine, Need::Tests])?;
    setup::tools(project)?;
    if !as_built {
        build::guest(project)?;
        image::ensure(project, false, false)?;
        build::shipped(project, false)?;
    }
    run(Command::new(cargo())
        .current_dir(&project.root)
        .args(["bench", "--quiet", "--package", "tests", "--bench", "ports"])
        .env("SLIPWAY_BENCH_ROUNDS", rounds.to_string())
        .env("SLIPWAY_TEST_TOOLS", project.tools())
        .env("SLIPWAY_BIN_DIR", project.shipped_programs())
        .env("SLIPWAY_IMAGE_DIR", project.image()))
}
