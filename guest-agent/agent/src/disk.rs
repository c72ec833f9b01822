//! How large the disk is that holds the engine's state.

use std::path::Path;

/// Bytes of the file system at `path`; nothing when it can't be asked.
pub(crate) fn size(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_blocks.checked_mul(found.f_frsize)
}
