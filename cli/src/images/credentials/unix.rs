//! A file that nobody else may read.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

/// Only its owner may read or write it.
pub(super) fn private(options: &mut OpenOptions) {
    options.mode(0o600);
}
