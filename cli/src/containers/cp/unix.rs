//! Which names are one file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Device and inode of a file with several names.
pub(super) fn several_names(meta: &Metadata) -> Option<(u64, u64)> {
    (meta.is_file() && meta.nlink() > 1).then(|| (meta.dev(), meta.ino()))
}
