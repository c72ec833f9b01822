//! The layer between an image and a container's own: the places for what is mounted in every
//! container. They are in neither `docker diff` nor a committed image, as with Docker, which makes
//! the same ones. All containers of an image share it.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps};

use sha2::{Digest as _, Sha256};

use crate::{Engine, Error, ids};

/// In a container's own directory, where older engines made one each.
const OLD: &str = "init";
/// Directories, unless the image has them.
const DIRECTORIES: [&str; 4] = ["dev/pts", "dev/shm", "proc", "sys"];
/// Empty files, in the place of the image's own.
const FILES: [&str; 5] = [
    ".dockerenv",
    "dev/console",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
];

impl Engine {
    /// Where they all are.
    pub(crate) fn init_layers(&self) -> PathBuf {
        self.options.root.join("init-layers")
    }
}

/// The layer for the container in `dir`, whose image has these layers, the topmost first. It is
/// made in `all` unless it is there. Blocks.
pub(crate) fn of(dir: &Path, all: &Path, layers: &[PathBuf]) -> Result<PathBuf, Error> {
    let old = dir.join(OLD);
    if old.is_dir() {
        return Ok(old);
    }
    let path = all.join(key(layers));
    if path.is_dir() {
        return Ok(path);
    }
    // Under another name first: nobody takes half a layer for a whole one.
    let making = path.with_extension(ids::random_id()?);
    fs::create_dir_all(all).map_err(|e| Error::file("creating", all, e))?;
    make(&making, layers)?;
    match fs::rename(&making, &path) {
        // Somebody else was quicker.
        Err(_) if path.is_dir() => images::remove_tree(&making)?,
        renamed => renamed.map_err(|e| Error::file("renaming", &making, e))?,
    }
    Ok(path)
}

/// Names the layers, whose directories are named by what they hold.
fn key(layers: &[PathBuf]) -> String {
    let mut hash = Sha256::new();
    for name in layers.iter().filter_map(|layer| layer.file_name()) {
        hash.update(name.as_encoded_bytes());
        hash.update(b"/");
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn make(init: &Path, layers: &[PathBuf]) -> Result<(), Error> {
    make_directory(init, None)?;
    for directory in DIRECTORIES {
        let is_there = find(layers, directory)
            .is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        if !is_there {
            make_parent(init, directory, layers)?;
            make_directory(&init.join(directory), None)?;
        }
    }
    for file in FILES {
        make_parent(init, file, layers)?;
        let path = init.join(file);
        fs::write(&path, b"")
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
            .map_err(|e| Error::file("creating", &path, e))?;
    }
    let mtab = init.join("etc/mtab");
    symlink("/proc/mounts", &mtab).map_err(|e| Error::file("creating", &mtab, e))?;
    // The members have changed the directories' times.
    for parent in ["dev", "etc"] {
        if let Some(stat) = find(layers, parent).filter(is_directory) {
            set_time(&init.join(parent), &stat)?;
        }
    }
    Ok(())
}

/// The directory that something is in, which looks as it does in the image.
fn make_parent(init: &Path, path: &str, layers: &[PathBuf]) -> Result<(), Error> {
    match path.split_once('/') {
        Some((parent, _)) => {
            let like = find(layers, parent).filter(is_directory);
            make_directory(&init.join(parent), like.as_ref())
        }
        None => Ok(()),
    }
}

fn make_directory(path: &Path, like: Option<&Stat>) -> Result<(), Error> {
    let failed = |e| Error::file("creating", path, e);
    match fs::create_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(failed)?,
    }
    if let Some(stat) = like {
        chown(path, Some(stat.st_uid), Some(stat.st_gid)).map_err(failed)?;
    }
    let mode = like.map_or(0o755, |stat| stat.st_mode & 0o7777);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)
}

fn set_time(path: &Path, stat: &Stat) -> Result<(), Error> {
    let time = Timespec {
        tv_sec: stat.st_mtime,
        tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) as _,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| Error::file("changing", path, e.into()))
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// What an image has at a path, looked for without following links.
fn find(layers: &[PathBuf], path: &str) -> Option<Stat> {
    layers.iter().find_map(|layer| look(layer, path))
}

fn look(layer: &Path, path: &str) -> Option<Stat> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let layer: OwnedFd = rustix::fs::open(layer, flags, Mode::empty()).ok()?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let found = rustix::fs::openat2(layer, path, flags, Mode::empty(), resolve).ok()?;
    rustix::fs::fstat(&found).ok()
}
