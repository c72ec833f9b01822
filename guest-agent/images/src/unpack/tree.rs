//! The destination directory of a layer, reached only through directory handles.
//!
//! Every parent is opened with `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`: the kernel
//! resolves symbolic links and `..` as if the destination were `/`. Last components are never
//! followed. Nothing here builds a path outside of that.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::entries::Attributes;
use super::metadata;
use crate::pack::is_whiteout;
use crate::remove_tree::remove_at;
use crate::{Error, Result};

const IMPLIED_DIRECTORY: Mode = Mode::from_bits_retain(0o755);
/// What overlayfs takes for "not here": a character device 0/0.
const WHITEOUT: (u32, u32) = (0, 0);

/// What a directory gets when all is in it.
struct Late {
    time: (i64, u32),
    default_acl: Option<Vec<u8>>,
}

impl Late {
    fn of(attributes: &Attributes) -> Self {
        Self {
            time: attributes.mtime,
            default_acl: metadata::default_acl(attributes).map(<[u8]>::to_vec),
        }
    }
}

/// A layer that is being unpacked, or another tree that is being written.
pub(crate) struct Tree {
    root: OwnedFd,
    path: PathBuf,
    /// The parent used last: archives list a directory's members together.
    recent: Option<(Vec<u8>, OwnedFd)>,
    /// What is set at the end, because every member made in a directory changes it or inherits it.
    late: BTreeMap<Vec<u8>, Late>,
    /// Something took the place of something else.
    pub(super) replaced: bool,
}

impl Tree {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|errno| Error::io("open", path)(errno.into()))?;
        metadata::mode(root.as_fd(), IMPLIED_DIRECTORY)
            .map_err(|errno| Error::io("change", path)(errno.into()))?;
        Ok(Self {
            root,
            path: path.to_owned(),
            recent: None,
            late: BTreeMap::new(),
            replaced: false,
        })
    }

    /// A tree that is in use, shown as `/` in messages. Nothing in it is changed but what entries
    /// ask for.
    pub(crate) fn of(root: OwnedFd) -> Self {
        Self {
            root,
            path: PathBuf::from("/"),
            recent: None,
            late: BTreeMap::new(),
            replaced: false,
        }
    }

    /// What has the name now, if anything has. Makes the directory that it is in.
    pub(super) fn kind(&mut self, parent: &[u8], name: &CStr) -> Result<Option<FileType>> {
        let at = self.parent(parent)?;
        match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed("inspect", &join(parent, name), errno)),
        }
    }

    /// Applies the attributes of the layer's root entry.
    pub(crate) fn set_root(&mut self, attributes: &Attributes) -> Result<()> {
        metadata::apply(self.root.as_fd(), attributes)
            .map_err(|errno| self.failed("change", b"", errno))?;
        self.late.insert(Vec::new(), Late::of(attributes));
        Ok(())
    }

    /// Makes a directory, or changes the one that is there.
    pub(crate) fn directory(
        &mut self,
        parent: &[u8],
        name: &CStr,
        attributes: &Attributes,
    ) -> Result<()> {
        let full = join(parent, name);
        let mut replaces_whiteout = false;
        loop {
            let at = self.parent(parent)?;
            match rustix::fs::mkdirat(at, name, Mode::RWXU) {
                Ok(()) => break,
                Err(Errno::EXIST) => {
                    let existing = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
                        .map_err(|errno| self.failed("inspect", &full, errno))?;
                    if FileType::from_raw_mode(existing.st_mode) == FileType::Directory {
                        break;
                    }
                    replaces_whiteout = is_whiteout(&existing);
                    self.clear(parent, name)?;
                }
                Err(errno) => return Err(self.failed("create", &full, errno)),
            }
        }
        let at = self.parent(parent)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(at, name, flags, Mode::empty())
            .map_err(|errno| self.failed("open", &full, errno))?;
        metadata::apply(directory.as_fd(), attributes)
            .map_err(|errno| self.failed("change", &full, errno))?;
        if replaces_whiteout {
            // The layer hides the directory below and brings its own: nothing may shine through.
            metadata::opaque(directory.as_fd())
                .map_err(|errno| self.failed("change", &full, errno))?;
        }
        self.late.insert(full, Late::of(attributes));
        Ok(())
    }

    /// Makes an empty file for [`Self::seal_file`] to finish; the path is for messages only.
    pub(crate) fn file(
        &mut self,
        parent: &[u8],
        name: &CStr,
        attributes: &Attributes,
    ) -> Result<(File, PathBuf)> {
        let full = join(parent, name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.replacing(parent, name, |at| {
            // What goes beyond these bits comes with the owner.
            let mode = Mode::from_bits_retain(attributes.mode & 0o777);
            rustix::fs::openat(at, name, flags, mode)
        })?;
        Ok((file.into(), self.shown(&full)))
    }

    /// Gives a written file its owner, mode, attributes and time.
    pub(crate) fn seal_file(&self, file: &File, attributes: &Attributes) -> Result<()> {
        metadata::apply(file.as_fd(), attributes)
            .and_then(|()| metadata::time(file.as_fd(), attributes.mtime))
            .map_err(|errno| self.failed("change", b"", errno))
    }

    /// Makes a symbolic link; its target is text and may say anything.
    pub(crate) fn symlink(
        &mut self,
        parent: &[u8],
        name: &CStr,
        target: &[u8],
        attributes: &Attributes,
    ) -> Result<()> {
        self.replacing(parent, name, |at| rustix::fs::symlinkat(target, at, name))?;
        self.seal_name(parent, name, attributes)
    }

    /// Makes a device or a fifo. Its node is never opened.
    pub(crate) fn node(
        &mut self,
        parent: &[u8],
        name: &CStr,
        kind: FileType,
        (major, minor): (u32, u32),
        attributes: &Attributes,
    ) -> Result<()> {
        let device = rustix::fs::makedev(major, minor);
        let mode = Mode::from_bits_retain(attributes.mode);
        self.replacing(parent, name, |at| {
            rustix::fs::mknodat(at, name, kind, mode, device)
        })?;
        self.seal_name(parent, name, attributes)?;
        let at = self.parent(parent)?;
        // After the change of owner, which clears setuid; `mknod` itself applied the umask.
        metadata::mode_at(at, name, mode)
            .map_err(|errno| self.failed("change", &join(parent, name), errno))
    }

    /// Whether an earlier entry made this.
    pub(super) fn holds(&self, parent: &[u8], name: &CStr) -> bool {
        self.open_directory(parent, OFlags::PATH)
            .and_then(|at| rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW))
            .is_ok_and(|stat| !is_whiteout(&stat))
    }

    /// Gives an earlier entry another name.
    pub(crate) fn hard_link(
        &mut self,
        from: &[u8],
        from_name: &CStr,
        parent: &[u8],
        name: &CStr,
    ) -> Result<()> {
        let missing = |_| Error::invalid("a hard link to a file that the layer does not hold");
        let source = self.open_directory(from, OFlags::PATH).map_err(missing)?;
        let original =
            rustix::fs::statat(&source, from_name, AtFlags::SYMLINK_NOFOLLOW).map_err(missing)?;
        if FileType::from_raw_mode(original.st_mode) == FileType::Directory {
            return Err(Error::invalid("a hard link to a directory"));
        }
        let at = self.parent(parent)?;
        if let Ok(existing) = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
            && (existing.st_dev, existing.st_ino) == (original.st_dev, original.st_ino)
        {
            return Ok(());
        }
        let linked = self.replacing(parent, name, |at| {
            rustix::fs::linkat(&source, from_name, at, name, AtFlags::empty())
        });
        match linked {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Err(
                Error::invalid("a hard link in the place of the directory that its target is in"),
            ),
            linked => linked,
        }
    }

    /// Hides `name` of the layers below. What this layer itself holds under that name stays.
    pub(super) fn whiteout(&mut self, parent: &[u8], name: &CStr) -> Result<()> {
        let full = join(parent, name);
        let at = self.parent(parent)?;
        let device = rustix::fs::makedev(WHITEOUT.0, WHITEOUT.1);
        match rustix::fs::mknodat(at, name, FileType::CharacterDevice, Mode::empty(), device) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match rustix::fs::openat(at, name, flags, Mode::empty()) {
                    Ok(directory) => metadata::opaque(directory.as_fd()),
                    Err(Errno::NOTDIR | Errno::LOOP) => Ok(()),
                    Err(errno) => Err(errno),
                }
                .map_err(|errno| self.failed("change", &full, errno))
            }
            Err(errno) => Err(self.failed("create", &full, errno)),
        }
    }

    /// Hides everything of the layers below in a directory.
    pub(super) fn make_opaque(&mut self, directory: &[u8]) -> Result<()> {
        self.parent(directory)?;
        let handle = self
            .open_directory(directory, OFlags::RDONLY)
            .map_err(|errno| self.failed("open", directory, errno))?;
        metadata::opaque(handle.as_fd()).map_err(|errno| self.failed("change", directory, errno))
    }

    /// Sets the directories' times and what they hand down. To be called once, after the last entry.
    pub(crate) fn finish(mut self) -> Result<()> {
        for (path, late) in std::mem::take(&mut self.late) {
            match self.open_directory(&path, OFlags::RDONLY) {
                Ok(directory) => late
                    .default_acl
                    .map_or(Ok(()), |acl| {
                        metadata::set_default_acl(directory.as_fd(), &acl)
                    })
                    .and_then(|()| metadata::time(directory.as_fd(), late.time))
                    .map_err(|errno| self.failed("change", &path, errno))?,
                // A later entry replaced it.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(self.failed("open", &path, errno)),
            }
        }
        Ok(())
    }

    /// Owner, attributes and time of something that is not to be opened.
    fn seal_name(&mut self, parent: &[u8], name: &CStr, attributes: &Attributes) -> Result<()> {
        let at = self.parent(parent)?;
        metadata::apply_at(at, name, attributes)
            .map_err(|errno| self.failed("change", &join(parent, name), errno))
    }

    /// Runs `make`, once more after clearing the way when something has the name already.
    fn replacing<T>(
        &mut self,
        parent: &[u8],
        name: &CStr,
        make: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let made = match make(self.parent(parent)?) {
            Err(Errno::EXIST) => {
                self.clear(parent, name)?;
                make(self.parent(parent)?)
            }
            made => made,
        };
        made.map_err(|errno| self.failed("create", &join(parent, name), errno))
    }

    /// Removes what has the name.
    fn clear(&mut self, parent: &[u8], name: &CStr) -> Result<()> {
        let at = self.parent(parent)?;
        let removed = match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => remove_at(at, name),
            removed => removed,
        };
        self.replaced = true;
        // The handle may be of what is gone now.
        self.recent = None;
        removed.map_err(|errno| self.failed("replace", &join(parent, name), errno))
    }

    /// A handle of the directory `path`, made with its own parents when missing.
    fn parent(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>> {
        if path.is_empty() {
            return Ok(self.root.as_fd());
        }
        if self
            .recent
            .as_ref()
            .is_none_or(|(recent, _)| recent != path)
        {
            let directory = match self.open_directory(path, OFlags::PATH) {
                Ok(directory) => directory,
                Err(Errno::NOENT) => self.make_directories(path)?,
                Err(errno) => return Err(self.failed("open", path, errno)),
            };
            self.recent = Some((path.to_owned(), directory));
        }
        Ok(self
            .recent
            .as_ref()
            .map_or(self.root.as_fd(), |(_, directory)| directory.as_fd()))
    }

    /// Makes the missing directories of `path`. A dangling symbolic link on the way is refused.
    fn make_directories(&self, path: &[u8]) -> Result<OwnedFd> {
        let mut at = self
            .open_directory(b"", OFlags::PATH)
            .map_err(|errno| self.failed("open", b"", errno))?;
        let mut done: Vec<u8> = Vec::new();
        for component in path.split(|&byte| byte == b'/') {
            if !done.is_empty() {
                done.push(b'/');
            }
            done.extend_from_slice(component);
            at = match self.open_directory(&done, OFlags::PATH) {
                Err(Errno::NOENT) => {
                    let made = rustix::fs::mkdirat(&at, component, IMPLIED_DIRECTORY)
                        .and_then(|()| metadata::mode_at(at.as_fd(), component, IMPLIED_DIRECTORY));
                    match made {
                        Err(Errno::EXIST) => {
                            return Err(Error::invalid(
                                "its directory is a symbolic link to nowhere",
                            ));
                        }
                        made => made.and_then(|()| self.open_directory(&done, OFlags::PATH)),
                    }
                }
                opened => opened,
            }
            .map_err(|errno| self.failed("create", &done, errno))?;
        }
        Ok(at)
    }

    /// Opens a directory with the destination as `/`.
    fn open_directory(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() {
            b".".as_slice()
        } else {
            path
        };
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve) {
                // The kernel saw a rename somewhere while it resolved a `..`; it says to try again.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
    }

    fn shown(&self, path: &[u8]) -> PathBuf {
        self.path.join(Path::new(std::ffi::OsStr::from_bytes(path)))
    }

    /// Tells what the layer did wrong from what the system could not do.
    fn failed(&self, action: &'static str, path: &[u8], errno: Errno) -> Error {
        match errno {
            Errno::NOTDIR => Error::invalid("its directory is not a directory"),
            Errno::LOOP => Error::invalid("its directory is a loop of symbolic links"),
            Errno::NAMETOOLONG => Error::invalid("its name is too long"),
            Errno::INVAL | Errno::RANGE | Errno::TOOBIG => Error::invalid(format!(
                "the file system does not take it ({action}: {errno})"
            )),
            errno => Error::io(action, &self.shown(path))(errno.into()),
        }
    }
}

pub(super) fn join(parent: &[u8], name: &CStr) -> Vec<u8> {
    let mut path = parent.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    path
}
