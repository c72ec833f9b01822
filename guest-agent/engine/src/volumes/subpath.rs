//! A path inside a volume, as the source of a mount: what is there now is held by a mount of its
//! own in the container's directory, so that a link put in its place later leads nowhere.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use crate::Error;
use crate::error::go_text;

const PLACE: &str = "volume-subpaths";

/// Where `subpath` of the volume's files at `data` can be mounted from. `dir` is the container's
/// directory, `number` tells its mounts apart. Blocks.
pub(crate) fn place(
    data: &Path,
    subpath: &str,
    dir: &Path,
    number: usize,
) -> Result<PathBuf, Error> {
    let found = open(data, subpath)?;
    let stat = rustix::fs::fstat(&found).map_err(|e| Error::file("examining", data, e.into()))?;
    let places = dir.join(PLACE);
    std::fs::create_dir_all(&places).map_err(|e| Error::file("creating", &places, e))?;
    let target = places.join(number.to_string());
    let made = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => std::fs::create_dir_all(&target),
        _ => std::fs::File::create(&target).map(drop),
    };
    made.map_err(|e| Error::file("creating", &target, e))?;
    unmount(&target);
    let source = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::mount::mount_bind_recursive(source, &target)
        .map_err(|e| Error::file("mounting", &target, e.into()))?;
    Ok(target)
}

/// What is at `subpath` of the volume's files at `data`. Links may lead anywhere inside. Blocks.
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
    let Ok(entries) = std::fs::read_dir(dir.join(PLACE)) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        unmount(&entry.path());
    }
}

fn unmount(path: &Path) {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    while rustix::mount::unmount(path, flags).is_ok() {}
}
