//! A path inside a volume or an image, as the source of a mount: what is there now is held by a
//! mount of its own in the container's directory, so that a link put in its place later leads
//! nowhere.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags};

use crate::Error;
use crate::error::go_text;

const PLACES: &str = "mount-sources";

/// Where `subpath` of the files at `data` can be mounted from. `dir` is the container's
/// directory, `number` tells its mounts apart. Blocks.
pub(crate) fn place(
    data: &Path,
    subpath: &str,
    dir: &Path,
    number: usize,
) -> Result<PathBuf, Error> {
    let found = open(data, subpath)?;
    let stat = rustix::fs::fstat(&found).map_err(|e| Error::file("examining", data, e.into()))?;
    let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let target = empty_place(dir, &number.to_string(), is_dir)?;
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::mount::mount_bind_recursive(source, &target)
        .map_err(|e| Error::file("mounting", &target, e.into()))?;
    Ok(target)
}

/// Gives a mount that has no place one in the container's directory. Blocks.
pub(crate) fn attach(tree: impl AsFd, dir: &Path, name: &str) -> Result<PathBuf, Error> {
    let target = empty_place(dir, name, true)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", CWD, &target, flags)
        .map_err(|e| Error::file("mounting", &target, e.into()))?;
    Ok(target)
}

/// A place that nothing is mounted on.
fn empty_place(dir: &Path, name: &str, is_dir: bool) -> Result<PathBuf, Error> {
    let places = dir.join(PLACES);
    std::fs::create_dir_all(&places).map_err(|e| Error::file("creating", &places, e))?;
    let target = places.join(name);
    detach(&target);
    // What was there at an earlier start may be of the other kind.
    let _ = std::fs::remove_file(&target).or_else(|_| std::fs::remove_dir(&target));
    let made = if is_dir {
        std::fs::create_dir_all(&target)
    } else {
        std::fs::File::create(&target).map(drop)
    };
    made.map_err(|e| Error::file("creating", &target, e))?;
    Ok(target)
}

/// What is at `subpath` of the files at `data`. Links may lead anywhere inside. Blocks.
pub(super) fn open(data: &Path, subpath: &str) -> Result<OwnedFd, Error> {
    let failed = |errno: Errno| {
        let path = data.join(subpath).display().to_string();
        let why = go_text(&errno.into());
        let message = format!("cannot access path {path}: lstat {path}: {why}");
        match errno {
            Errno::NOENT => Error::NotFound(message),
            Errno::XDEV => Error::Invalid(format!(
                "path concatenation escapes the base directory, base: {}, subpath: {subpath}",
                data.display()
            )),
            _ => Error::System(message),
        }
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root =
        rustix::fs::openat(CWD, data, flags | OFlags::DIRECTORY, Mode::empty()).map_err(failed)?;
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(&root, subpath, flags, Mode::empty(), inside).map_err(failed)
}

/// Lets go of all places of a container.
pub(super) fn release(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir.join(PLACES)) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        detach(&entry.path());
    }
}

/// Unmounts all that is at a place.
pub(crate) fn detach(path: &Path) {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    while rustix::mount::unmount(path, flags).is_ok() {}
}
