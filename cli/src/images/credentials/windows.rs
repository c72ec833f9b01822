//! A file that nobody else may read.

use std::fs::OpenOptions;

/// What is in a person's own folder is theirs already.
pub(super) fn private(_: &mut OpenOptions) {}
