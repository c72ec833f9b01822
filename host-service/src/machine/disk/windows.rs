//! Sparse files on Windows.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::Command;

/// Bytes that the file takes on the disk: not asked for on Windows.
pub(crate) fn used(_path: &Path) -> Option<u64> {
    None
}

/// The folder's access list applies: it is in the person's profile.
pub(crate) fn private(_options: &mut OpenOptions) {}

/// Marks the file as sparse, or it would take its whole size at the first write near its end.
pub(super) fn make_sparse(path: &Path) -> io::Result<()> {
    let output = Command::new("fsutil")
        .args(["sparse", "setflag"])
        .arg(path)
        .output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ))
    }
}
