//! `docker diff`: what a container changed in its image's files, read off overlayfs's writable
//! layer and compared with the layers below by Docker's rules.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::export::still_there;
use super::merged;
use crate::{Engine, Error, blocking};

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is not what it was, or something in it is not.
    Modified = 0,
    /// The image does not have it.
    Added = 1,
    /// Only the image has it.
    Deleted = 2,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Absolute path in the container.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
}

impl Engine {
    /// The changes, in order of path.
    pub async fn container_changes(self: &Arc<Self>, name: &str) -> Result<Vec<Change>, Error> {
        let container = self.container(name)?;
        still_there(&container, "diff")?;
        let held = container.files.share().await;
        let record = container.lock().record.clone();
        let dir = container.dir.clone();
        let engine = Arc::clone(self);
        blocking::run(move || {
            let lower = engine.root(&record, &dir)?.lower;
            let lower = match lower.as_slice() {
                [] => None,
                layers => Some(merged(layers)?),
            };
            let found = compare(&dir.join("upper"), lower.as_ref().map(AsFd::as_fd));
            drop(held);
            found
        })
        .await
    }
}

/// A directory that is still to be looked into.
struct Todo {
    /// Relative to the root.
    path: Vec<u8>,
    /// The layers below have a directory there.
    merged: bool,
}

/// Compares the writable layer with what is below.
fn compare(upper: &Path, lower: Option<BorrowedFd<'_>>) -> Result<Vec<Change>, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let upper = rustix::fs::open(upper, flags, Mode::empty())
        .map_err(|e| Error::file("opening", upper, e.into()))?;
    let mut found: BTreeMap<Vec<u8>, ChangeKind> = BTreeMap::new();
    let mut todo = vec![Todo {
        path: Vec::new(),
        merged: lower.is_some(),
    }];
    while let Some(next) = todo.pop() {
        match look_into(&upper, lower, &next, &mut found, &mut todo) {
            // Removed, replaced or too deep for a path meanwhile.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) | Ok(()) => {}
            Err(errno) => {
                return Err(Error::file(
                    "reading",
                    Path::new(&String::from_utf8_lossy(&next.path).into_owned()),
                    errno.into(),
                ));
            }
        }
    }
    // A change makes its directories changed.
    let parents: Vec<Vec<u8>> = found
        .keys()
        .flat_map(|path| {
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            slashes
                .map(|(at, _)| path[..at].to_vec())
                .collect::<Vec<_>>()
        })
        .collect();
    for parent in parents {
        found.entry(parent).or_insert(ChangeKind::Modified);
    }
    Ok(found
        .into_iter()
        .map(|(path, kind)| Change {
            path: format!("/{}", String::from_utf8_lossy(&path)),
            kind,
        })
        .collect())
}

fn look_into(
    upper: &OwnedFd,
    lower: Option<BorrowedFd<'_>>,
    next: &Todo,
    found: &mut BTreeMap<Vec<u8>, ChangeKind>,
    todo: &mut Vec<Todo>,
) -> Result<(), Errno> {
    let above = open_below(upper.as_fd(), &next.path)?;
    let below = match lower {
        Some(lower) if next.merged => Some(open_below(lower, &next.path)?),
        _ => None,
    };
    let members = members(&above)?;
    for name in &members {
        let stat = match rustix::fs::statat(&above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        let old = below.as_ref().and_then(|below| old(below, name));
        let path = join(&next.path, name);
        if is_whiteout(&stat) {
            if old.is_some() {
                found.insert(path, ChangeKind::Deleted);
            }
            continue;
        }
        let is_directory = kind(&stat) == FileType::Directory;
        let merged = is_directory && old.as_ref().is_some_and(|old| kind(old) == kind(&stat));
        match &old {
            None => {
                found.insert(path.clone(), ChangeKind::Added);
            }
            Some(old) => {
                let differs = differs(old, &stat)
                    || below.as_ref().is_some_and(|below| {
                        capabilities(below, name) != capabilities(&above, name)
                    });
                if differs {
                    found.insert(path.clone(), ChangeKind::Modified);
                }
            }
        }
        if is_directory {
            todo.push(Todo { path, merged });
        }
    }
    if let Some(below) = below.filter(|_| is_opaque(above.as_fd())) {
        for name in self::members(&below)? {
            if members.binary_search(&name).is_err() && old(&below, &name).is_some() {
                found.insert(join(&next.path, &name), ChangeKind::Deleted);
            }
        }
    }
    Ok(())
}

/// What the layers below have under a name.
fn old(below: &OwnedFd, name: &CString) -> Option<Stat> {
    rustix::fs::statat(below, name, AtFlags::SYMLINK_NOFOLLOW)
        .ok()
        // A single layer is not merged and shows its whiteouts.
        .filter(|stat| !is_whiteout(stat))
}

/// Docker's idea of a change: neither size nor time of a directory tell anything, and a time
/// without a fraction may have lost it in an archive.
fn differs(old: &Stat, new: &Stat) -> bool {
    let same_time = old.st_mtime == new.st_mtime
        && (old.st_mtime_nsec == new.st_mtime_nsec
            || old.st_mtime_nsec == 0
            || new.st_mtime_nsec == 0);
    old.st_mode != new.st_mode
        || old.st_uid != new.st_uid
        || old.st_gid != new.st_gid
        || old.st_rdev != new.st_rdev
        || (kind(old) != FileType::Directory && (!same_time || old.st_size != new.st_size))
}

/// A program's capabilities. Reached through the handle of its directory; the name is not followed.
fn capabilities(directory: &OwnedFd, name: &CString) -> Option<Vec<u8>> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    let mut value = vec![0; 64];
    let count =
        rustix::fs::lgetxattr(path.as_slice(), "security.capability", value.as_mut_slice()).ok()?;
    value.truncate(count);
    Some(value)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn is_opaque(directory: BorrowedFd<'_>) -> bool {
    let mut value = [0; 2];
    rustix::fs::fgetxattr(directory, "trusted.overlay.opaque", &mut value[..])
        .is_ok_and(|count| value.get(..count) == Some(b"y"))
}

fn join(directory: &[u8], name: &CString) -> Vec<u8> {
    let mut path = directory.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    path
}

/// The names in a directory, in order.
fn members(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn open_below(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() {
        b".".as_slice()
    } else {
        path
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}
