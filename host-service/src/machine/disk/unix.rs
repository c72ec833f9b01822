//! Sparse files on Unix.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes that the file takes on the disk.
pub(crate) fn used(path: &Path) -> Option<u64> {
    // A block is 512 bytes here, whatever the file system's own are.
    Some(std::fs::metadata(path).ok()?.blocks() * 512)
}

/// Containers' data is its owner's business only.
pub(crate) fn private(options: &mut OpenOptions) {
    options.mode(0o600);
}

/// Never: QEMU locks the disk itself.
pub(super) fn is_taken(_error: &io::Error) -> bool {
    false
}

/// Files are sparse by themselves.
#[expect(clippy::unnecessary_wraps, reason = "it can fail on Windows")]
pub(super) fn make_sparse(_disk: &File) -> io::Result<()> {
    Ok(())
}
