//! Filling an empty volume with what the image has at its mount point.

use std::path::PathBuf;
use std::sync::PoisonError;

use super::{Volume, backing};
use crate::containers::{copy_up, has_directory};
use crate::{Engine, Error};

/// Copies what the image's layers (topmost first) have at `destination` into a volume, if that is
/// empty. Blocks.
pub(crate) fn fill(
    engine: &Engine,
    volume: &Volume,
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
    let copied = std::fs::read_dir(data)
        .map_err(|e| Error::file("reading", data, e))
        .and_then(|mut entries| match entries.next() {
            None => copy_up(layers, destination, data),
            Some(_) => Ok(()),
        });
    // One that runs already keeps it mounted, and so does who looks at the files of one.
    let used = engine.is_volume_running(&volume.name) || viewers.contains_key(&volume.name);
    if volume.has_backing() && !used {
        backing::unmount(data)?;
    }
    copied
}
