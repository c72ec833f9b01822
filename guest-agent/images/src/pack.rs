//! A directory tree as a tar stream.
//!
//! The tree may change while it is read ([`crate::walk`]): only what is certainly a regular file is
//! opened, and one that shrinks is filled up with zeros, because its size is written already.

mod header;
mod overlay;

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::sparse::{self, Region};
use crate::walk::{Step, failed, open_directory_raw, open_file, walk};
use crate::{Error, Result};

use header::{Link, More};
pub(crate) use header::{attributes, attributes_at};
pub(crate) use overlay::is_whiteout;

/// What is sent at once. A few of these are all the memory that a stream of any size takes.
const PIECE: usize = 256 * 1024;
/// A file with more stretches of data than this is written with its holes filled: readers bound
/// the memory that they give to a list of stretches.
const MOST_REGIONS: usize = 8000;
/// Two blocks of zeros end an archive.
const END: [u8; 1024] = [0; 1024];

/// How a tree is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// As overlayfs's writable directory: whiteouts and opaque directories become what image
    /// layers have for them.
    Layer,
    /// As it is, with all that makes it up: every extended attribute, fractions of seconds, and
    /// holes, in GNU's form.
    Whole,
}

/// Writes entries. `send` takes the stream's pieces and returns false when nobody wants more.
pub struct Packer<F> {
    form: Form,
    send: F,
    buffer: Vec<u8>,
    /// Files with several names, and the first of them.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

impl<F: FnMut(Bytes) -> bool> Packer<F> {
    /// A new archive.
    pub fn new(form: Form, send: F) -> Self {
        Self {
            form,
            send,
            buffer: Vec::with_capacity(PIECE),
            linked: HashMap::new(),
        }
    }

    /// Writes a directory and everything in it; the entries' names begin with `name`.
    ///
    /// # Errors
    /// When it cannot be read, or [`Error::Interrupted`].
    pub fn directory(&mut self, directory: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let stat = rustix::fs::fstat(directory).map_err(|errno| failed("inspect", name, errno))?;
        let mut root = name.to_vec();
        root.push(b'/');
        let more = self.more(|| attributes(directory));
        self.header(&header::encode(&root, &stat, &Link::None, &more))?;
        self.members(directory, &root)
    }

    /// Writes everything in a directory, but not the directory itself; the entries' names begin
    /// with `prefix`.
    ///
    /// # Errors
    /// When it cannot be read, or [`Error::Interrupted`].
    pub fn members(&mut self, directory: BorrowedFd<'_>, prefix: &[u8]) -> Result<()> {
        walk(directory, |parent, member, path| {
            self.entry(parent, member, &[prefix, path].concat())
        })
    }

    /// Writes one thing that is no directory under another name.
    ///
    /// # Errors
    /// When it cannot be read, or [`Error::Interrupted`].
    pub fn single(&mut self, parent: BorrowedFd<'_>, member: &Path, name: &[u8]) -> Result<()> {
        let member = CString::new(member.as_os_str().as_bytes())
            .map_err(|_| Error::invalid("a name with a NUL byte"))?;
        match self.entry(parent, &member, name) {
            Ok(_) => Ok(()),
            Err(Step::Gone(errno)) => Err(failed("read", name, errno)),
            Err(Step::Failed(error)) => Err(error),
        }
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when nobody wants it any more.
    pub fn finish(mut self) -> Result<()> {
        self.write(&END)?;
        self.flush()
    }

    /// Writes one entry; for a directory returns the handle for what is in it.
    fn entry(
        &mut self,
        parent: BorrowedFd<'_>,
        member: &CStr,
        name: &[u8],
    ) -> std::result::Result<Option<OwnedFd>, Step> {
        let stat = rustix::fs::statat(parent, member, AtFlags::SYMLINK_NOFOLLOW)?;
        if self.form == Form::Layer {
            if is_whiteout(&stat) {
                self.header(&overlay::whiteout(name))?;
                return Ok(None);
            }
            overlay::check_name(name)?;
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let directory = open_directory_raw(parent, member)?;
                let stat = rustix::fs::fstat(&directory)?;
                let mut name = name.to_vec();
                name.push(b'/');
                let more = self.more(|| attributes(directory.as_fd()));
                self.header(&header::encode(&name, &stat, &Link::None, &more))?;
                if self.form == Form::Layer && overlay::is_opaque(directory.as_fd(), &name)? {
                    self.header(&overlay::opaque(&name))?;
                }
                Ok(Some(directory))
            }
            FileType::RegularFile => self.file(parent, member, name).map(|()| None),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, member, Vec::new())?;
                let first = self.seen(&stat, name);
                let link = match &first {
                    Some(first) => Link::Hard(first),
                    None => Link::Symbolic(target.as_bytes()),
                };
                let more = self.more(|| attributes_at(parent, member));
                self.header(&header::encode(name, &stat, &link, &more))?;
                Ok(None)
            }
            // A socket means nothing without its owner.
            FileType::Socket | FileType::Unknown => Ok(None),
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                let first = self.seen(&stat, name);
                let link = first.as_deref().map_or(Link::None, Link::Hard);
                let more = self.more(|| attributes_at(parent, member));
                self.header(&header::encode(name, &stat, &link, &more))?;
                Ok(None)
            }
        }
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        member: &CStr,
        name: &[u8],
    ) -> std::result::Result<(), Step> {
        let (stat, file) = open_file(parent, member)?;
        if let Some(first) = self.seen(&stat, name) {
            let more = self.more(Vec::new);
            self.header(&header::encode(name, &stat, &Link::Hard(&first), &more))?;
            return Ok(());
        }
        let mut more = match self.form {
            Form::Whole => self.more(|| attributes(file.as_fd())),
            Form::Plain | Form::Layer => More {
                attributes: header::capability(file.as_fd()).into_iter().collect(),
                ..More::default()
            },
        };
        let size = header::size(&stat);
        let regions = match self.form {
            Form::Whole => sparse::regions(file.as_fd(), &stat),
            Form::Plain | Form::Layer => vec![(0, size)],
        };
        let held: u64 = regions.iter().map(|(_, length)| length).sum();
        if held == size || regions.len() > MOST_REGIONS {
            self.header(&header::encode(name, &stat, &Link::None, &more))?;
            self.content(file.as_fd(), (0, size), name)?;
            self.pad(size)?;
            return Ok(());
        }
        let map = header::sparse_map(&regions, size);
        let stored = map.len() as u64 + held;
        more.sparse = Some(stored);
        self.header(&header::encode(name, &stat, &Link::None, &more))?;
        self.write(&map)?;
        for region in regions {
            self.content(file.as_fd(), region, name)?;
        }
        self.pad(stored)?;
        Ok(())
    }

    /// What a header tells besides `stat`, in the whole form.
    fn more(&self, attributes: impl FnOnce() -> Vec<header::Attribute>) -> More {
        match self.form {
            Form::Plain | Form::Layer => More::default(),
            Form::Whole => More {
                attributes: attributes(),
                fractions: true,
                sparse: None,
            },
        }
    }

    /// Sends exactly the bytes of a stretch of a file.
    fn content(
        &mut self,
        file: BorrowedFd<'_>,
        (mut offset, length): Region,
        name: &[u8],
    ) -> Result<()> {
        let mut left = length;
        while left > 0 {
            self.make_room()?;
            let before = self.buffer.len();
            let spare = rustix::buffer::spare_capacity(&mut self.buffer);
            let count = match rustix::io::pread(file, spare, offset) {
                Ok(0) => break,
                Ok(count) => count as u64,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(failed("read", name, errno)),
            };
            let taken = count.min(left);
            // A file that grows is cut where it was.
            self.buffer.truncate(before + taken as usize);
            left -= taken;
            offset += taken;
        }
        self.zeros(left)
    }

    /// Fills up the last block of so many bytes.
    fn pad(&mut self, size: u64) -> Result<()> {
        self.zeros(size.next_multiple_of(512) - size)
    }

    fn zeros(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            self.make_room()?;
            let room = self.buffer.capacity() - self.buffer.len();
            let take = usize::try_from(count).unwrap_or(usize::MAX).min(room);
            self.buffer.resize(self.buffer.len() + take, 0);
            count -= take as u64;
        }
        Ok(())
    }

    fn header(&mut self, bytes: &Result<Vec<u8>>) -> Result<()> {
        match bytes {
            Ok(bytes) => self.write(bytes),
            Err(error) => Err(Error::invalid(error.to_string())),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            self.make_room()?;
            let room = self.buffer.capacity() - self.buffer.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn make_room(&mut self) -> Result<()> {
        if self.buffer.len() == self.buffer.capacity() {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        if full.is_empty() || (self.send)(full.into()) {
            Ok(())
        } else {
            Err(Error::Interrupted)
        }
    }

    /// The name under which a file with several names is in the archive already; notes this one
    /// otherwise.
    fn seen(&mut self, stat: &Stat, name: &[u8]) -> Option<Vec<u8>> {
        if stat.st_nlink < 2 {
            return None;
        }
        match self.linked.entry((stat.st_dev, stat.st_ino)) {
            std::collections::hash_map::Entry::Occupied(first) => Some(first.get().clone()),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(name.to_vec());
                None
            }
        }
    }
}

#[cfg(test)]
#[path = "pack/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "pack/whole_tests.rs"]
mod whole_tests;
