//! A tree into another one, with everything that makes up its files. Where the file system can,
//! the copies share their blocks until one of them changes.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::pack::{attributes, attributes_at};
use crate::sparse::{self, Region};
use crate::unpack::{Attributes, Tree};
use crate::walk::{Step, open_directory_raw, open_file, walk};
use crate::{Error, Result};

const PIECE: usize = 256 * 1024;

/// Directory below the root, and the name in it.
type Place = (Vec<u8>, CString);

/// Copies all that is in `from`, and what the directory itself is, into the empty directory `to`.
/// Returns the bytes of the files.
///
/// # Errors
/// When something cannot be read or written. What was copied before stays.
pub fn copy_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<u64> {
    let to = to
        .try_clone_to_owned()
        .map_err(Error::io("open", "/".as_ref()))?;
    let mut copy = Copy {
        tree: Tree::of(to),
        first: HashMap::new(),
        shares: true,
        bytes: 0,
    };
    let stat = rustix::fs::fstat(from)
        .map_err(|errno| Error::io("inspect", Path::new("/"))(errno.into()))?;
    copy.tree.set_root(&kept(&stat, attributes(from)))?;
    walk(from, |parent, name, path| copy.member(parent, name, path))?;
    copy.tree.finish()?;
    Ok(copy.bytes)
}

struct Copy {
    tree: Tree,
    /// Files with several names, and the first of them.
    first: HashMap<(u64, u64), Place>,
    /// Whether blocks can be shared, as far as was tried.
    shares: bool,
    bytes: u64,
}

impl Copy {
    fn member(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        path: &[u8],
    ) -> std::result::Result<Option<OwnedFd>, Step> {
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let cut = path.len() - name.to_bytes().len();
        let above = path[..cut].strip_suffix(b"/").unwrap_or_default();
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let directory = open_directory_raw(parent, name)?;
                let stat = rustix::fs::fstat(&directory)?;
                let kept = kept(&stat, attributes(directory.as_fd()));
                self.tree.directory(above, name, &kept)?;
                return Ok(Some(directory));
            }
            FileType::RegularFile => {
                let (stat, file) = open_file(parent, name)?;
                if !self.linked(&stat, above, name)? {
                    self.file(&stat, file.into(), above, name)?;
                }
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new())?;
                if !self.linked(&stat, above, name)? {
                    let kept = kept(&stat, attributes_at(parent, name));
                    self.tree.symlink(above, name, target.as_bytes(), &kept)?;
                }
            }
            kind => {
                if !self.linked(&stat, above, name)? {
                    let kept = kept(&stat, attributes_at(parent, name));
                    let device = stat.st_rdev;
                    let numbers = (rustix::fs::major(device), rustix::fs::minor(device));
                    self.tree.node(above, name, kind, numbers, &kept)?;
                }
            }
        }
        Ok(None)
    }

    /// Makes another name of a file that has been copied; false when it has not.
    fn linked(&mut self, stat: &Stat, above: &[u8], name: &CStr) -> Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let id = (stat.st_dev, stat.st_ino);
        if let Some((parent, first)) = self.first.get(&id) {
            self.tree.hard_link(parent, first, above, name)?;
            return Ok(true);
        }
        self.first.insert(id, (above.to_owned(), name.to_owned()));
        Ok(false)
    }

    fn file(&mut self, stat: &Stat, source: File, above: &[u8], name: &CStr) -> Result<()> {
        let kept = kept(stat, attributes(source.as_fd()));
        let (target, path) = self.tree.file(above, name, &kept)?;
        self.shares = self.shares && shared(&source, &target);
        if !self.shares {
            copy_content(&source, &target, stat).map_err(Error::io("copy", &path))?;
        }
        self.bytes += u64::try_from(stat.st_size).unwrap_or(0);
        self.tree.seal_file(&target, &kept)
    }
}

fn kept(stat: &Stat, xattrs: Vec<(Vec<u8>, Vec<u8>)>) -> Attributes {
    Attributes {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (
            stat.st_mtime as _,
            u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        ),
        xattrs,
        marks: true,
    }
}

/// Lets the new file share the old one's blocks; false where that can't be.
fn shared(source: &File, target: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

/// Copies a file's data and leaves its holes.
pub(crate) fn copy_content(source: &File, target: &File, stat: &Stat) -> std::io::Result<()> {
    for region in sparse::regions(source.as_fd(), stat) {
        copy_region(source, target, region)?;
    }
    target.set_len(u64::try_from(stat.st_size).unwrap_or(0))
}

/// Copies a stretch of data, in the kernel where it can. A file that has shrunk is left short.
fn copy_region(source: &File, target: &File, (start, length): Region) -> std::io::Result<()> {
    let end = start + length;
    let (mut from, mut to) = (start, start);
    while from < end {
        let left = usize::try_from(end - from).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), left) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    let mut piece = vec![0; PIECE.min(usize::try_from(end - from).unwrap_or(PIECE))];
    while from < end {
        let wanted = piece
            .len()
            .min(usize::try_from(end - from).unwrap_or(PIECE));
        let count = source.read_at(&mut piece[..wanted], from)?;
        if count == 0 {
            return Ok(());
        }
        target.write_all_at(&piece[..count], from)?;
        from += count as u64;
    }
    Ok(())
}
