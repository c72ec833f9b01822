//! Everything below a directory, in order, while others may change it.
//!
//! Whoever changes the tree may be hostile: everything is reached through directory handles and
//! nothing is followed. What disappears on the way is left out. Trees may be of any depth.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// So many directories on the way down stay open; deeper ones are opened again when needed.
const OPEN_DIRECTORIES: usize = 32;

/// Why a visit ended early.
pub(crate) enum Step {
    /// The member went away or cannot be looked at; the walk goes on without it.
    Gone(Errno),
    /// The walk cannot go on.
    Failed(Error),
}

impl From<Errno> for Step {
    fn from(errno: Errno) -> Self {
        Self::Gone(errno)
    }
}

impl From<Error> for Step {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A directory on the way down.
struct Frame {
    /// Open unless too many are.
    handle: Option<OwnedFd>,
    /// Below the top; empty for the top itself.
    path: Vec<u8>,
    /// Members still to come, the next one last.
    members: Vec<CString>,
}

/// Visits every member below `directory`, given the handle of what it is in, its name there, and
/// its path from the top. For a directory the visitor returns a handle to go on with.
pub(crate) fn walk(
    directory: BorrowedFd<'_>,
    mut visit: impl FnMut(BorrowedFd<'_>, &CStr, &[u8]) -> std::result::Result<Option<OwnedFd>, Step>,
) -> Result<()> {
    let mut frames = vec![frame(open_directory(directory, c".")?, Vec::new())?];
    while let Some(top) = frames.last_mut() {
        let Some(member) = top.members.pop() else {
            frames.pop();
            continue;
        };
        if top.handle.is_none() {
            top.handle = match open_again(directory, &top.path) {
                Ok(handle) => Some(handle),
                Err(errno) => {
                    skip(&top.path, errno)?;
                    frames.pop();
                    continue;
                }
            };
        }
        let mut path = top.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(member.to_bytes());
        let Some(handle) = &top.handle else { continue };
        let below = match visit(handle.as_fd(), &member, &path) {
            Ok(below) => below,
            Err(Step::Gone(errno)) => {
                skip(&path, errno)?;
                continue;
            }
            Err(Step::Failed(error)) => return Err(error),
        };
        if let Some(below) = below {
            let next = frame(below, path)?;
            if frames.len() >= OPEN_DIRECTORIES
                && let Some(top) = frames.last_mut()
            {
                top.handle = None;
            }
            frames.push(next);
        }
    }
    Ok(())
}

/// Leaves something out that cannot be read because of what became of it; other reasons are errors.
fn skip(name: &[u8], errno: Errno) -> Result<()> {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE => Ok(()),
        Errno::ACCESS | Errno::PERM | Errno::NAMETOOLONG => {
            let name = String::from_utf8_lossy(name);
            tracing::warn!(%name, %errno, "left out of an archive");
            Ok(())
        }
        errno => Err(failed("read", name, errno)),
    }
}

/// An error about a path of the tree.
pub(crate) fn failed(action: &'static str, name: &[u8], errno: Errno) -> Error {
    Error::io(action, Path::new(std::ffi::OsStr::from_bytes(name)))(errno.into())
}

fn frame(handle: OwnedFd, path: Vec<u8>) -> Result<Frame> {
    let members = members(&handle).map_err(|errno| failed("list", &path, errno))?;
    Ok(Frame {
        handle: Some(handle),
        path,
        members,
    })
}

/// The names in a directory, the first in order last.
fn members(directory: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_by(|a, b| b.cmp(a));
    Ok(names)
}

/// Opens a directory, never through a link.
pub(crate) fn open_directory_raw(
    parent: BorrowedFd<'_>,
    name: &CStr,
) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    open_directory_raw(parent, name).map_err(|errno| failed("open", name.to_bytes(), errno))
}

fn open_again(top: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(top, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Opens what is certainly a regular file: first a handle that opens nothing, since by now the
/// name may stand for a device. With what the file is.
pub(crate) fn open_file(
    parent: BorrowedFd<'_>,
    name: &CStr,
) -> rustix::io::Result<(rustix::fs::Stat, OwnedFd)> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{CWD, FileType};

    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&handle)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::NOENT);
    }
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    Ok((stat, file))
}
