//! Filling an empty volume with what the image has at its mount point.

use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::PoisonError;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::staging::not_staged;
use super::{Volume, backing};
use crate::containers::paths;
use crate::{Engine, Error};

/// Copies what `files`, those of a new container, have at `destination` into a volume, or into the
/// directory at `subpath` of it, if that is there and empty. Blocks.
pub(crate) fn fill(
    engine: &Engine,
    volume: &Volume,
    subpath: &str,
    destination: &str,
    files: BorrowedFd<'_>,
) -> Result<(), Error> {
    let source = paths::open(files, destination, OFlags::RDONLY | OFlags::DIRECTORY);
    if matches!(source, Err(Errno::NOENT)) {
        return Ok(());
    }
    let source = source.map_err(|errno| match errno {
        Errno::NOTDIR => Error::System(format!(
            "cannot mount volume over existing file, file exists {destination}"
        )),
        _ => Error::file("reading", Path::new(destination), errno.into()),
    });
    let volumes = &engine.volumes;
    let _alone = volumes
        .filling
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let viewers = engine.mounting();
    backing::mount(volume)?;
    let data = &volume.mountpoint;
    let copied = if subpath.is_empty() {
        fill_directory(data, || {
            // A disk that is full, an engine that dies and a power cut must not leave a part: it
            // would be taken for the person's own. Others could be writing into it, though.
            if volume.has_backing() || !engine.volume_users(&volume.name).is_empty() {
                return copy_in_place(data, &source?);
            }
            let staged = volumes.stage(None)?;
            images::copy_tree(source?.as_fd(), staged.open()?.as_fd()).map_err(not_staged)?;
            staged.sync()?;
            staged.replace(volume)
        })
    } else {
        // What can't be had is told when the container starts.
        match super::subpath::open(data, subpath) {
            Ok(found) => {
                let path = format!("/proc/self/fd/{}/.", found.as_raw_fd());
                let path = Path::new(&path);
                fill_directory(path, || copy_in_place(path, &source?))
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

/// Has a directory filled if it is empty. A file of a volume may be mounted, too.
fn fill_directory(data: &Path, fill: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    match std::fs::read_dir(data).map(|mut entries| entries.next().is_none()) {
        Ok(true) => fill(),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(()),
        Err(error) => Err(Error::file("reading", data, error)),
    }
}

fn copy_in_place(data: &Path, source: &OwnedFd) -> Result<(), Error> {
    let target = File::open(data).map_err(|error| Error::file("opening", data, error))?;
    images::copy_tree(source.as_fd(), target.as_fd())?;
    Ok(())
}
