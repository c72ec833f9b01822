//! The machine's data disk, looked at from outside.

use std::path::Path;

use crate::program::Program;
use crate::{places, steps};

/// The file system was unmounted and has no fault.
///
/// # Panics
/// When it was not, or has one.
pub fn is_clean(home: &Path) {
    let Some(e2fsck) = places::in_path("e2fsck") else {
        return steps::skip("e2fsck (package e2fsprogs) is not installed");
    };
    let disk = home.join("machine/data.raw");
    let ran = Program::new(&e2fsck).args(["-f", "-n"]).args([&disk]).run();
    assert_eq!(ran.code, 0, "{ran}");
    // It would skip the journal of one that was not unmounted, and say so.
    assert!(
        !ran.to_string().contains("journal"),
        "not cleanly unmounted: {ran}"
    );
}
