//! A directory tree as a tar stream.
//!
//! The tree may change while it is read, and whoever changes it may be hostile: everything is
//! reached through directory handles, nothing is followed, and only what is certainly a regular
//! file is opened. What disappears on the way is left out; a file that shrinks is filled up with
//! zeros, because its size is written already.

mod header;
mod overlay;

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::{Error, Result};

use header::Link;
pub(crate) use overlay::is_whiteout;

/// What is sent at once. A few of these are all the memory that a stream of any size takes.
const PIECE: usize = 256 * 1024;
/// So many directories on the way down stay open; deeper ones are opened again when needed.
const OPEN_DIRECTORIES: usize = 32;
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
}

/// Writes entries. `send` takes the stream's pieces and returns false when nobody wants more.
pub struct Packer<F> {
    form: Form,
    send: F,
    buffer: Vec<u8>,
    /// Files with several names, and the first of them.
    linked: HashMap<(u64, u64), Vec<u8>>,
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
        self.header(&header::encode(&root, &stat, &Link::None, None))?;
        self.members(directory, &root)
    }

    /// Writes everything in a directory, but not the directory itself; the entries' names begin
    /// with `prefix`.
    ///
    /// # Errors
    /// When it cannot be read, or [`Error::Interrupted`].
    pub fn members(&mut self, directory: BorrowedFd<'_>, prefix: &[u8]) -> Result<()> {
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
            let name = [prefix, &path].concat();
            let below = match self.entry(handle.as_fd(), &member, &name) {
                Ok(below) => below,
                Err(Step::Gone(errno)) => {
                    skip(&name, errno)?;
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
        member: &CString,
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
                self.header(&header::encode(&name, &stat, &Link::None, None))?;
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
                self.header(&header::encode(name, &stat, &link, None))?;
                Ok(None)
            }
            // A socket means nothing without its owner.
            FileType::Socket | FileType::Unknown => Ok(None),
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => {
                let first = self.seen(&stat, name);
                let link = first.as_deref().map_or(Link::None, Link::Hard);
                self.header(&header::encode(name, &stat, &link, None))?;
                Ok(None)
            }
        }
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        member: &CString,
        name: &[u8],
    ) -> std::result::Result<(), Step> {
        // First a handle that opens nothing: by now the name may stand for a device.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(parent, member, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&handle)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Step::Gone(Errno::NOENT));
        }
        if let Some(first) = self.seen(&stat, name) {
            self.header(&header::encode(name, &stat, &Link::Hard(&first), None))?;
            return Ok(());
        }
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let capability = header::capability(file.as_fd());
        self.header(&header::encode(
            name,
            &stat,
            &Link::None,
            capability.as_deref(),
        ))?;
        self.content(file.as_fd(), header::size(&stat), name)?;
        Ok(())
    }

    /// Sends exactly `size` bytes of a file and the padding.
    fn content(&mut self, file: BorrowedFd<'_>, size: u64, name: &[u8]) -> Result<()> {
        let mut left = size;
        while left > 0 {
            self.make_room()?;
            let before = self.buffer.len();
            let spare = rustix::buffer::spare_capacity(&mut self.buffer);
            let count = match rustix::io::read(file, spare) {
                Ok(0) => break,
                Ok(count) => count as u64,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(failed("read", name, errno)),
            };
            let taken = count.min(left);
            // A file that grows is cut where it was.
            self.buffer.truncate(before + taken as usize);
            left -= taken;
        }
        let padding = size.next_multiple_of(512) - size;
        self.zeros(left.saturating_add(padding))
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

/// Why an entry was not written.
enum Step {
    /// It went away or cannot be looked at; the archive goes on without it.
    Gone(Errno),
    /// The archive cannot go on.
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

fn failed(action: &'static str, name: &[u8], errno: Errno) -> Error {
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

fn open_directory_raw(
    parent: BorrowedFd<'_>,
    name: &std::ffi::CStr,
) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn open_directory(parent: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<OwnedFd> {
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

#[cfg(test)]
#[path = "pack/tests.rs"]
mod tests;
