//! Paths that are hidden from a container, or only readable in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, MountAttrFlags, OpenTreeFlags};

use super::mounts::{attach_at, make};
use super::resolve;
use super::root::ATTR_RDONLY;
use crate::error::{Context, Error};
use crate::spec::ContainerSpec;
use crate::sys;

/// Covers masked paths and remounts read-only ones. Runs after `pivot_root`.
pub(super) fn protect(spec: &ContainerSpec, null: BorrowedFd<'_>) -> Result<(), Error> {
    let root = resolve::open_root()?;
    for path in &spec.readonly_paths {
        make_readonly(root.as_fd(), path)?;
    }
    let mut empty = None;
    for path in &spec.masked_paths {
        mask(root.as_fd(), path, null, &mut empty)?;
    }
    Ok(())
}

/// A file is covered by the null device, a directory by an empty read-only tmpfs, which is the same
/// for all.
fn mask(
    root: BorrowedFd<'_>,
    path: &str,
    null: BorrowedFd<'_>,
    empty: &mut Option<OwnedFd>,
) -> Result<(), Error> {
    let point = match resolve::open(root, path, OFlags::PATH) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.at("open the masked path", path)?,
    };
    let stat =
        rustix::fs::statat(&point, "", AtFlags::EMPTY_PATH).at("look at the masked path", path)?;
    let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let cover = match empty {
        _ if !directory => clone_tree(null).at("open the cover of", path)?,
        Some(empty) => clone_tree(empty.as_fd()).at("open the cover of", path)?,
        None => nothing()?,
    };
    attach_at(cover.as_fd(), point.as_fd()).at("mask", path)?;
    // Only what is attached can be cloned.
    if directory && empty.is_none() {
        *empty = Some(cover);
    }
    Ok(())
}

/// An empty read-only file system.
fn nothing() -> Result<OwnedFd, Error> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).step("open tmpfs")?;
    rustix::mount::fsconfig_set_string(&context, "size", "0")
        .and_then(|()| rustix::mount::fsconfig_set_string(&context, "mode", "555"))
        .step("configure tmpfs")?;
    make(&context, MountAttrFlags::MOUNT_ATTR_RDONLY, "mount tmpfs")
}

fn make_readonly(root: BorrowedFd<'_>, path: &str) -> Result<(), Error> {
    let point = match resolve::open(root, path, OFlags::PATH) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.at("open the read-only path", path)?,
    };
    let tree = clone_tree(point.as_fd()).at("open the read-only path", path)?;
    sys::mount_setattr(tree.as_fd(), true, ATTR_RDONLY, 0).at("make read-only", path)?;
    attach_at(tree.as_fd(), point.as_fd()).at("make read-only", path)
}

fn clone_tree(of: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(of, "", flags)
}
