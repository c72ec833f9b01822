//! Filling a new volume with what the image has at its mount point, layer by layer from the
//! lowest, with overlayfs's whiteouts applied.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

use crate::Error;

/// Whether one of the layers has a directory at `path`.
pub(crate) fn has_directory(layers: &[PathBuf], path: &str) -> Result<bool, Error> {
    for layer in layers {
        if resolve(layer, path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies `path` of the image whose layers are given (topmost first) to the directory `target`,
/// which is made.
pub(crate) fn copy_up(layers: &[PathBuf], path: &str, target: &Path) -> Result<(), Error> {
    fs::create_dir_all(target).map_err(|e| Error::file("creating", target, e))?;
    for layer in layers.iter().rev() {
        let Some(source) = resolve(layer, path)? else {
            continue;
        };
        copy_directory(&source, target, &mut Links::new())?;
    }
    Ok(())
}

/// The directory at `path` in a layer, if every component is a real directory there: a symbolic
/// link could lead out of the layer.
fn resolve(layer: &Path, path: &str) -> Result<Option<PathBuf>, Error> {
    let mut current = layer.to_owned();
    for part in path
        .split('/')
        .filter(|p| !p.is_empty() && *p != "." && *p != "..")
    {
        current.push(part);
        match fs::symlink_metadata(&current) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file("reading", &current, e)),
        }
    }
    Ok(Some(current))
}

fn is_opaque(dir: &Path) -> bool {
    let mut value = [0u8; 2];
    rustix::fs::getxattr(dir, "trusted.overlay.opaque", &mut value[..])
        .is_ok_and(|n| value.get(..n) == Some(b"y"))
}

/// The first copy of each file of a layer that has several names.
type Links = HashMap<(u64, u64), PathBuf>;

fn copy_directory(source: &Path, target: &Path, links: &mut Links) -> Result<(), Error> {
    let meta = fs::symlink_metadata(source).map_err(|e| Error::file("reading", source, e))?;
    if is_opaque(source) {
        clear(target)?;
    }
    let entries = fs::read_dir(source).map_err(|e| Error::file("reading", source, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::file("reading", source, e))?;
        copy_entry(&entry.path(), &target.join(entry.file_name()), links)?;
    }
    // Last, since every entry changes the directory's time.
    like(source, target, &meta).map_err(|e| Error::file("copying", source, e))
}

fn copy_entry(from: &Path, to: &Path, links: &mut Links) -> Result<(), Error> {
    let meta = fs::symlink_metadata(from).map_err(|e| Error::file("reading", from, e))?;
    let kind = meta.file_type();
    if !kind.is_dir() {
        remove(to)?;
    }
    // A whiteout is one, and device nodes of an image have no place in a volume.
    if kind.is_char_device() || kind.is_block_device() {
        return Ok(());
    }
    let failed = |e| Error::file("copying", from, e);
    if kind.is_dir() {
        if !fs::symlink_metadata(to).is_ok_and(|m| m.is_dir()) {
            remove(to)?;
            fs::create_dir(to).map_err(failed)?;
        }
        return copy_directory(from, to, links);
    }
    if meta.nlink() > 1 {
        if let Some(first) = links.get(&(meta.dev(), meta.ino())) {
            return fs::hard_link(first, to).map_err(failed);
        }
        links.insert((meta.dev(), meta.ino()), to.to_owned());
    }
    let made = if kind.is_symlink() {
        fs::read_link(from).and_then(|link| symlink(link, to))
    } else if kind.is_file() {
        fs::copy(from, to).map(drop)
    } else {
        let (kind, mode) = (
            FileType::from_raw_mode(meta.mode()),
            Mode::from_raw_mode(meta.mode()),
        );
        rustix::fs::mknodat(CWD, to, kind, mode, 0).map_err(Into::into)
    };
    made.and_then(|()| like(from, to, &meta)).map_err(failed)
}

/// Gives a copy the owner, mode, extended attributes and times of what it was made of.
fn like(from: &Path, to: &Path, meta: &fs::Metadata) -> std::io::Result<()> {
    lchown(to, Some(meta.uid()), Some(meta.gid()))?;
    if !meta.is_symlink() {
        fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    }
    // After the owner, whose change takes a file's capabilities away.
    for name in attributes(from)? {
        let mut value = vec![0; rustix::fs::lgetxattr(from, &name, &mut [0u8; 0])?];
        let length = rustix::fs::lgetxattr(from, &name, &mut value)?;
        let value = value.get(..length).unwrap_or_default();
        rustix::fs::lsetxattr(to, &name, value, XattrFlags::empty())?;
    }
    let time = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec()),
        last_modification: time(meta.mtime(), meta.mtime_nsec()),
    };
    Ok(rustix::fs::utimensat(
        CWD,
        to,
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// The names of a file's extended attributes, without those of overlayfs.
fn attributes(path: &Path) -> std::io::Result<Vec<CString>> {
    let mut names = vec![0; rustix::fs::llistxattr(path, &mut [0u8; 0])?];
    let length = rustix::fs::llistxattr(path, &mut names)?;
    let names = names.get(..length).unwrap_or_default();
    let whole = names.split_inclusive(|&byte| byte == 0);
    Ok(whole
        .filter(|name| !name.starts_with(b"trusted.overlay."))
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .map(CStr::to_owned)
        .collect())
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
    .map_err(|e| Error::file("removing", path, e))
}

fn clear(dir: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(dir).map_err(|e| Error::file("reading", dir, e))?;
    for entry in entries {
        remove(&entry.map_err(|e| Error::file("reading", dir, e))?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn upper_layers_win_and_links_do_not_lead_out() {
        let base = std::env::temp_dir().join(format!("slipway-copy-up-{}", std::process::id()));
        let (low, high, out) = (base.join("low"), base.join("high"), base.join("out"));
        fs::create_dir_all(low.join("data/sub")).unwrap();
        fs::create_dir_all(high.join("data")).unwrap();
        fs::write(low.join("data/a"), "low").unwrap();
        fs::write(low.join("data/sub/b"), "b").unwrap();
        fs::write(high.join("data/a"), "high").unwrap();
        symlink("/etc", high.join("evil")).unwrap();
        fs::hard_link(low.join("data/sub/b"), low.join("data/sub/c")).unwrap();
        let before = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        for path in [low.join("data/sub/b"), low.join("data/sub")] {
            fs::File::open(path).unwrap().set_modified(before).unwrap();
        }
        copy_up(&[high.clone(), low], "/data", &out).unwrap();
        assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "high");
        assert_eq!(fs::read_to_string(out.join("sub/b")).unwrap(), "b");
        let meta = |name: &str| fs::metadata(out.join(name)).unwrap();
        assert_eq!(meta("sub/b").ino(), meta("sub/c").ino());
        for name in ["sub/b", "sub"] {
            assert_eq!(meta(name).modified().unwrap(), before, "{name}");
        }
        assert_eq!(resolve(&high, "/evil").unwrap(), None);
        fs::remove_dir_all(base).unwrap();
    }
}
