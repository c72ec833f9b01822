//! Paths inside a container's root. Everything goes through `openat2` with `RESOLVE_IN_ROOT`, so
//! whatever links the image holds, no path leads out of the root, and nothing is resolved twice.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Context, Error};

/// Opens a path in the root, following its links within the root.
pub(crate) fn open(
    root: BorrowedFd<'_>,
    path: impl AsRef<Path>,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    openat2(root, path.as_ref(), flags, ResolveFlags::IN_ROOT)
}

/// Opens a path in the root on which there may be no links at all.
pub(super) fn open_without_links(
    root: BorrowedFd<'_>,
    path: impl AsRef<Path>,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    openat2(root, path.as_ref(), flags, resolve)
}

fn openat2(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A rename somewhere raced with the walk: walk again.
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

/// The root of the current mount namespace.
pub(crate) fn open_root() -> Result<OwnedFd, Error> {
    rustix::fs::open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at("open the root", "/")
}

/// An existing directory.
pub(super) fn open_directory(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    open(root, path, OFlags::PATH | OFlags::DIRECTORY)
}

/// A directory that is made, with all above it and owned by root, where it is missing.
pub(crate) fn create_directories(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Error> {
    match open_directory(root, path) {
        Err(Errno::NOENT) => {}
        Err(Errno::NOTDIR) => {
            return Err(Error::Invalid(format!(
                "Cannot mkdir: {path} is not a directory"
            )));
        }
        other => return other.at("open the directory", path),
    }
    let mut walked = PathBuf::from("/");
    let mut current = open_directory(root, "/").at("open the root", path)?;
    for component in Path::new(path).components() {
        let name = match component {
            Component::Normal(name) => Path::new(name),
            Component::ParentDir => Path::new(".."),
            _ => continue,
        };
        walked.push(name);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        current = match open(root, &walked, flags) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&current, name, Mode::from_raw_mode(0o755))
                    .at("make the directory", &walked)?;
                // Just made by us in `current`, so it is no link.
                rustix::fs::openat(
                    &current,
                    name,
                    flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )
                .at("open the directory", &walked)?
            }
            other => other.at("open the directory", &walked)?,
        };
    }
    Ok(current)
}

/// A place for a mount: an existing file or directory, or a new one of the kind asked for.
pub(super) fn mount_point(
    root: BorrowedFd<'_>,
    path: &str,
    directory: bool,
) -> Result<OwnedFd, Error> {
    if directory {
        return create_directories(root, path);
    }
    match open(root, path, OFlags::PATH) {
        Err(Errno::NOENT) => {}
        other => return other.at("open the mount point", path),
    }
    let as_path = Path::new(path);
    let (Some(parent), Some(name)) = (as_path.parent(), as_path.file_name()) else {
        return Err(Error::Invalid(format!("invalid mount target: {path}")));
    };
    let parent = parent.to_str().unwrap_or("/");
    let parent = create_directories(root, parent)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(
        parent.as_fd(),
        name,
        flags | OFlags::RDONLY,
        Mode::from_raw_mode(0o644),
    )
    .at("make the mount point", path)
}
