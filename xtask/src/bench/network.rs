//! Networks: our engine as it is shipped, without the machine. The measurement itself is
//! `tests/benches/network`; this gets everything ready for it.

use anyhow::Result;

use crate::build;
use crate::progress::run;
use crate::project::Project;
use crate::setup::{self, Need};

/// Prepares and runs the measurement.
pub(super) fn bench(project: &Project, rounds: u32, as_built: bool) -> Result<()> {
    setup::system(&[Need::Build, Need::Tests])?;
    setup::tools(project)?;
    if !as_built {
        build::guest(project)?;
    }
    run(&mut super::measurement(project, "network", rounds)?)
}
