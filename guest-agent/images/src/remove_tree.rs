//! Removing directory trees that may be of any depth.
//!
//! A hostile layer can nest directories deeper than a stack or a table of descriptors goes. So
//! nothing recurses: a subdirectory's own subdirectories are moved up before it is removed, and
//! three handles are enough.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// Removes the tree at `path`; a missing one is fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    let name = path
        .file_name()
        .and_then(|name| CString::new(name.as_encoded_bytes()).ok());
    let (Some(parent), Some(name)) = (path.parent(), name) else {
        return Err(Error::io("remove", path)(Errno::INVAL.into()));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, parent, flags, Mode::empty()) {
        Ok(parent) => remove_at(parent, &name),
        Err(errno) => Err(errno),
    }
    .or_else(|errno| {
        if errno == Errno::NOENT {
            Ok(())
        } else {
            Err(errno)
        }
    })
    .map_err(|errno| Error::io("remove", path)(errno.into()))
}

/// Removes what `name` is in `parent`, with everything in it.
pub(crate) fn remove_at(parent: impl AsFd, name: &CStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        done => return done,
    }
    let top = open(&parent, name)?;
    let mut moved = 0_u64;
    loop {
        let members = members(&top)?;
        if members.is_empty() {
            return rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR);
        }
        for (member, kind) in members {
            if kind != FileType::Directory {
                rustix::fs::unlinkat(&top, &member, AtFlags::empty())?;
                continue;
            }
            match rustix::fs::unlinkat(&top, &member, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => empty(&top, &member, &mut moved)?,
                done => done?,
            }
        }
    }
}

/// Empties and removes one member of `top`, moving its subdirectories into `top`.
fn empty(top: &OwnedFd, member: &CStr, moved: &mut u64) -> rustix::io::Result<()> {
    let directory = open(top, member)?;
    loop {
        let members = members(&directory)?;
        if members.is_empty() {
            return rustix::fs::unlinkat(top, member, AtFlags::REMOVEDIR);
        }
        for (inner, kind) in members {
            if kind != FileType::Directory {
                rustix::fs::unlinkat(&directory, &inner, AtFlags::empty())?;
                continue;
            }
            loop {
                *moved += 1;
                let free = format!(".removing-{moved}");
                match rustix::fs::renameat_with(
                    &directory,
                    &inner,
                    top,
                    free,
                    RenameFlags::NOREPLACE,
                ) {
                    Err(Errno::EXIST) => {}
                    done => break done?,
                }
            }
        }
    }
}

/// Opens a directory. What is mounted in a tree is not the tree's: it is busy, and keeps its files.
fn open(parent: impl AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        match rustix::fs::openat2(&parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
            Err(Errno::XDEV) => return Err(Errno::BUSY),
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Up to a thousand members: enough to make progress, without holding a huge directory's names.
fn members(directory: &OwnedFd) -> rustix::io::Result<Vec<(CString, FileType)>> {
    let mut members = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat =
                    rustix::fs::statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        members.push((entry.file_name().to_owned(), kind));
        if members.len() == 1000 {
            break;
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_tree_deeper_than_descriptors_go_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let parent = std::fs::File::open(home.path()).unwrap();
        let mut at = open(&parent, c"top").unwrap();
        for depth in 0..3000 {
            rustix::fs::mkdirat(&at, c"d", Mode::RWXU).unwrap();
            if depth % 100 == 0 {
                rustix::fs::symlinkat("/", &at, c"link").unwrap();
            }
            at = open(&at, c"d").unwrap();
        }
        remove_tree(&top).unwrap();
        assert!(!top.exists());
        remove_tree(&top).unwrap();
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let kept = home.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "x").unwrap();
        let top = home.path().join("top");
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::os::unix::fs::symlink(&kept, top.join("a/b/link")).unwrap();
        std::os::unix::fs::symlink(&kept, top.join("link")).unwrap();
        remove_tree(&top).unwrap();
        assert!(!top.exists());
        assert!(kept.join("file").exists());
    }
}
