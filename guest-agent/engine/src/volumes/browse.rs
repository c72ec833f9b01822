//! A look into a volume without a container. Containers may change it meanwhile and mean harm:
//! links are followed with the volume's top as `/`, and only regular files are opened.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::work::no_such_volume;
use crate::containers::paths;
use crate::time::Time;
use crate::{Engine, Error, blocking};

/// Something in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeEntry {
    /// From the volume's top, which is `/`.
    pub path: String,
    /// `file`, `directory`, `symlink`, `fifo`, `socket`, `character device`, `block device`.
    pub kind: &'static str,
    /// Bytes of a file.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change.
    pub modified: Time,
    /// Where a symbolic link points to.
    pub target: Option<String>,
}

impl Engine {
    /// What is in a directory of a volume, or one file, by name; whether there is more than
    /// `limit`.
    pub async fn volume_tree(
        self: &Arc<Self>,
        name: &str,
        path: &str,
        limit: usize,
    ) -> Result<(Vec<VolumeEntry>, bool), Error> {
        let path = paths::clean(path);
        self.in_volume(name, move |root, name| {
            let failed = |errno| look_error(name, &path, errno);
            let handle =
                paths::open(std::os::fd::AsFd::as_fd(root), &path, OFlags::PATH).map_err(failed)?;
            let stat = rustix::fs::fstat(&handle).map_err(failed)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                return Ok((vec![entry(&path, &stat, None)], false));
            }
            list(&handle, &path, limit).map_err(failed)
        })
        .await
    }

    /// A file of a volume, opened, and its bytes.
    pub async fn volume_file(
        self: &Arc<Self>,
        name: &str,
        path: &str,
    ) -> Result<(File, u64), Error> {
        let path = paths::clean(path);
        self.in_volume(name, move |root, name| {
            let failed = |errno| look_error(name, &path, errno);
            // A handle that opens nothing: there may be a device.
            let handle =
                paths::open(std::os::fd::AsFd::as_fd(root), &path, OFlags::PATH).map_err(failed)?;
            let stat = rustix::fs::fstat(&handle).map_err(failed)?;
            let kind = kind(&stat);
            if kind != "file" {
                return Err(Error::Invalid(format!("{path} is no file but a {kind}")));
            }
            let link = format!("/proc/self/fd/{}", handle.as_raw_fd());
            let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = rustix::fs::openat(CWD, link, flags, Mode::empty()).map_err(failed)?;
            Ok((file.into(), size(&stat)))
        })
        .await
    }

    async fn in_volume<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        look: impl FnOnce(&OwnedFd, &str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let volume = self.volumes.get(name).ok_or_else(|| no_such_volume(name))?;
        let engine = Arc::clone(self);
        blocking::run(move || look(&engine.open_volume(&volume)?, &volume.name)).await
    }
}

fn list(
    directory: &OwnedFd,
    path: &str,
    limit: usize,
) -> rustix::io::Result<(Vec<VolumeEntry>, bool)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(directory, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for found in Dir::read_from(&directory)? {
        let found = found?;
        if !matches!(found.file_name().to_bytes(), b"." | b"..") {
            names.push(found.file_name().to_owned());
        }
    }
    names.sort();
    let more = names.len() > limit;
    names.truncate(limit);
    let mut entries = Vec::new();
    for name in names {
        let stat = match rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It has just been removed.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        let target = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => rustix::fs::readlinkat(&directory, &name, Vec::new()).ok(),
            _ => None,
        };
        let at = Path::new(path).join(name.to_string_lossy().as_ref());
        let target = target.map(|target| target.to_string_lossy().into_owned());
        entries.push(entry(&at.to_string_lossy(), &stat, target));
    }
    Ok((entries, more))
}

fn entry(path: &str, stat: &Stat, target: Option<String>) -> VolumeEntry {
    VolumeEntry {
        path: path.to_owned(),
        kind: kind(stat),
        size: size(stat),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        modified: Time::from_unix(
            stat.st_mtime,
            i32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        ),
        target,
    }
}

fn size(stat: &Stat) -> u64 {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => u64::try_from(stat.st_size).unwrap_or(0),
        _ => 0,
    }
}

fn kind(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Unknown => "other",
    }
}

fn look_error(volume: &str, path: &str, errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR => {
            Error::NotFound(format!("the volume {volume} has no file {path}"))
        }
        Errno::LOOP => Error::Invalid(format!("{path} is a link that leads nowhere")),
        errno => Error::file("reading", Path::new(path), errno.into()),
    }
}
