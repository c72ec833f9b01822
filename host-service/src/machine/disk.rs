//! The data disk: one sparse file.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

use std::fs::OpenOptions;
use std::path::Path;

use client::wire::Problem;

use super::host;
use crate::problem::{Explain, file, problem};

pub(crate) use platform::{private, used};

/// Room that the host's disk must have before a machine is started on it.
const LEAST_FREE: u64 = 256 << 20;

/// Makes the disk, or lets it grow when the person wants a larger one; returns its size. It never
/// shrinks: that would cut off data.
pub(crate) fn prepare(path: &Path, gib: u64) -> Result<u64, Problem> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if let Some(free) = host::free_space(folder)
        && free < LEAST_FREE
    {
        return Err(problem("the host's disk is full")
            .because(format!(
                "{} MiB are free at {}",
                free >> 20,
                folder.display()
            ))
            .hint("make room, or set SLIPWAY_HOME to a folder on another disk"));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    platform::private(&mut options);
    let disk = options.open(path).map_err(|error| {
        let failed = file("open", path, &error);
        if platform::is_taken(&error) {
            failed.hint("end the QEMU that has it, or restart the computer, then start again")
        } else {
            failed
        }
    })?;
    let length = disk
        .metadata()
        .map_err(|error| file("look at", path, &error))?
        .len();
    let wanted = gib << 30;
    if length >= wanted {
        return Ok(length);
    }
    platform::make_sparse(&disk).map_err(|error| file("make sparse", path, &error))?;
    disk.set_len(wanted)
        .map_err(|error| file("enlarge", path, &error))?;
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn is_sparse_grows_and_never_shrinks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.raw");
        assert_eq!(prepare(&path, 2).unwrap(), 2 << 30);
        assert!(used(&path).unwrap() < 1 << 20);
        assert_eq!(prepare(&path, 3).unwrap(), 3 << 30);
        assert_eq!(prepare(&path, 1).unwrap(), 3 << 30);
    }
}
