//! There is no native mode on Windows.

use client::Home;
use client::wire::Problem;

use crate::problem::{Explain, problem};

/// Whether native mode can work here.
pub(super) fn check() -> Result<(), Problem> {
    Err(problem("native mode exists on Linux only")
        .hint("use a machine: `slipway machine start --driver qemu`"))
}

/// Whether the process is the warden of this home.
pub(super) fn is_warden(_pid: u32, _home: &Home) -> bool {
    false
}
