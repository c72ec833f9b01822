//! Containers: our engine as it is shipped, without the machine and in it. The measurement itself is
//! `tests/benches/containers`; this gets everything ready for it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::progress::{run, step};
use crate::project::{Project, cargo};
use crate::setup::{self, Need};
use crate::{build, image, peers};

/// Prepares and runs the measurement.
pub(super) fn bench(project: &Project, rounds: u32, as_built: bool) -> Result<()> {
    setup::system(&[Need::Build, Need::Image, Need::Machine, Need::Tests])?;
    setup::tools(project)?;
    if !as_built {
        build::guest(project)?;
        build::host(project, false)?;
        image::ensure(project, false, false)?;
    }
    let floor = step("the floor", || floor(project))?;
    let crun = peers::crun(project)?;
    run(super::measurement(project, "containers", rounds)?
        .env("SLIPWAY_BENCH_FLOOR", floor)
        .env("SLIPWAY_CRUN", crun)
        .env("SLIPWAY_BIN_DIR", project.host_programs())
        .env("SLIPWAY_IMAGE_DIR", project.image()))
}

/// The bare system calls, built as the engine is.
fn floor(project: &Project) -> Result<PathBuf> {
    run(Command::new(cargo())
        .current_dir(&project.root)
        .args(["build", "--quiet", "--release"])
        .args(["--target", &project.guest.target()])
        .args(["--package", "runtime", "--example", "floor"]))?;
    Ok(project.guest_programs().join("examples/floor"))
}
