//! Owner, mode, extended attributes and times, in the order the kernel wants: a change of owner
//! clears setuid bits and file capabilities, so it comes first.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, Result};
use rustix::path::Arg;

use super::entries::Attributes;

const OPAQUE: &CStr = c"trusted.overlay.opaque";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
/// Overlayfs's own marks are ours to set: a layer that brought a `redirect` could make one
/// directory stand for another.
const RESERVED: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// Applies everything but the time to an open file or directory.
pub(super) fn apply(file: BorrowedFd<'_>, attributes: &Attributes) -> Result<()> {
    // Looking costs little; a change goes through the file system's journal.
    let stat = rustix::fs::fstat(file)?;
    let owned = is_owner(&stat, attributes);
    if !owned {
        let (uid, gid) = owner(attributes);
        rustix::fs::fchown(file, uid, gid)?;
    }
    if !owned || stat.st_mode & 0o7777 != attributes.mode {
        mode(file, Mode::from_bits_retain(attributes.mode))?;
    }
    for (name, value) in wanted(attributes) {
        tolerate(
            name,
            rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()),
        )?;
    }
    Ok(())
}

/// Applies owner, extended attributes and time to a name that is not followed nor opened. The mode
/// is left: links have none, and devices get theirs from whoever made them.
pub(super) fn apply_at(parent: BorrowedFd<'_>, name: &CStr, attributes: &Attributes) -> Result<()> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if !is_owner(&stat, attributes) {
        let (uid, gid) = owner(attributes);
        rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    for (xattr, value) in wanted(attributes) {
        // There is no setxattrat before Linux 6.13; the link to our own handle of the parent is
        // followed, the name itself is not.
        let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
        path.extend_from_slice(name.to_bytes());
        tolerate(
            xattr,
            rustix::fs::lsetxattr(path.as_slice(), xattr, value, XattrFlags::empty()),
        )?;
    }
    rustix::fs::utimensat(
        parent,
        name,
        &timestamps(attributes.mtime),
        AtFlags::SYMLINK_NOFOLLOW,
    )
}

/// Sets the permission bits.
pub(super) fn mode(file: BorrowedFd<'_>, mode: Mode) -> Result<()> {
    rustix::fs::fchmod(file, mode)
}

/// Sets the permission bits of a name, whatever has taken its place meanwhile: what a link leads to
/// stays as it is.
pub(super) fn mode_at(parent: BorrowedFd<'_>, name: impl Arg, mode: Mode) -> Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    // There is no chmod without following before Linux 6.6. This path ends at the handle.
    rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), mode)
}

/// Sets the modification time, and the access time to the same.
pub(super) fn time(file: BorrowedFd<'_>, mtime: (i64, u32)) -> Result<()> {
    rustix::fs::futimens(file, &timestamps(mtime))
}

/// Marks a directory as hiding everything below.
pub(super) fn opaque(directory: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}

fn is_owner(stat: &Stat, attributes: &Attributes) -> bool {
    (stat.st_uid, stat.st_gid) == (attributes.uid, attributes.gid)
}

fn owner(attributes: &Attributes) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(attributes.uid)),
        Some(Gid::from_raw(attributes.gid)),
    )
}

fn wanted(attributes: &Attributes) -> impl Iterator<Item = (&[u8], &[u8])> {
    attributes
        .xattrs
        .iter()
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
        .filter(|(name, _)| {
            attributes.marks || !RESERVED.iter().any(|reserved| name.starts_with(reserved))
        })
        .filter(|(name, _)| *name != DEFAULT_ACL)
}

/// What a directory gives to all that is made in it, to be set when everything is.
pub(super) fn default_acl(attributes: &Attributes) -> Option<&[u8]> {
    let mut all = attributes.xattrs.iter();
    all.find(|(name, _)| name == DEFAULT_ACL)
        .map(|(_, value)| value.as_slice())
}

/// Sets it.
pub(super) fn set_default_acl(directory: BorrowedFd<'_>, value: &[u8]) -> Result<()> {
    tolerate(
        DEFAULT_ACL,
        rustix::fs::fsetxattr(directory, DEFAULT_ACL, value, XattrFlags::empty()),
    )
}

/// A file system without some class of attributes is no reason to refuse an image, except where
/// the program would silently lose its capabilities.
fn tolerate(name: &[u8], set: Result<()>) -> Result<()> {
    match set {
        Err(Errno::OPNOTSUPP) if name != b"security.capability" => Ok(()),
        set => set,
    }
}

fn timestamps((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: i64::from(nanoseconds) as _,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
