//! Filling an empty volume with what the image has at its mount point.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{Volume, backing};
use crate::containers::{copy_up, has_directory};
use crate::{Engine, Error};

/// Copies what the image's layers (topmost first) have at `destination` into a volume, or into the
/// directory at `subpath` of it, if that is there and empty. Blocks.
pub(crate) fn fill(
    engine: &Engine,
    volume: &Volume,
    subpath: &str,
    destination: &str,
    layers: &[PathBuf],
) -> Result<(), Error> {
    if !has_directory(layers, destination)? {
        return Ok(());
    }
    let volumes = &engine.volumes;
    let _alone = volumes
        .filling
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let viewers = volumes
        .mounting
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    backing::mount(volume)?;
    let data = &volume.mountpoint;
    let copied = if subpath.is_empty() {
        fill_directory(data, destination, layers)
    } else {
        // What can't be had is told when the container starts.
        match super::subpath::open(data, subpath) {
            Ok(found) => {
                let path = format!("/proc/self/fd/{}/.", found.as_raw_fd());
                fill_directory(Path::new(&path), destination, layers)
            }
            Err(_) => Ok(()),
        }
    };
    // One that runs already keeps it mounted, and so does who looks at the files of one.
    let used = engine.is_volume_running(&volume.name) || viewers.contains_key(&volume.name);
    if volume.has_backing() && !used {
        backing::unmount(data)?;
    }
    copied
}

fn fill_directory(data: &Path, destination: &str, layers: &[PathBuf]) -> Result<(), Error> {
    match std::fs::read_dir(data) {
        Ok(mut entries) => match entries.next() {
            None => copy_up(layers, destination, data),
            Some(_) => Ok(()),
        },
        // A file of a volume may be mounted, too.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(()),
        Err(error) => Err(Error::file("reading", data, error)),
    }
}
