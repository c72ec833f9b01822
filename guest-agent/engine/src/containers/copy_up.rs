//! Filling a new volume with what the image has at its mount point, layer by layer from the
//! lowest, with overlayfs's whiteouts applied.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

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
        copy_directory(&source, target)?;
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

fn copy_directory(source: &Path, target: &Path) -> Result<(), Error> {
    let meta = fs::symlink_metadata(source).map_err(|e| Error::file("reading", source, e))?;
    if is_opaque(source) {
        clear(target)?;
    }
    chown(target, Some(meta.uid()), Some(meta.gid()))
        .and_then(|()| {
            fs::set_permissions(target, fs::Permissions::from_mode(meta.mode() & 0o7777))
        })
        .map_err(|e| Error::file("setting the owner of", target, e))?;
    let entries = fs::read_dir(source).map_err(|e| Error::file("reading", source, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::file("reading", source, e))?;
        copy_entry(&entry.path(), &target.join(entry.file_name()))?;
    }
    Ok(())
}

fn copy_entry(from: &Path, to: &Path) -> Result<(), Error> {
    let meta = fs::symlink_metadata(from).map_err(|e| Error::file("reading", from, e))?;
    let kind = meta.file_type();
    let whiteout = kind.is_char_device() && meta.rdev() == 0;
    if !kind.is_dir() {
        remove(to)?;
    }
    let failed = |e| Error::file("copying", from, e);
    if whiteout {
        Ok(())
    } else if kind.is_dir() {
        if !fs::symlink_metadata(to).is_ok_and(|m| m.is_dir()) {
            remove(to)?;
            fs::create_dir(to).map_err(failed)?;
        }
        copy_directory(from, to)
    } else if kind.is_symlink() {
        let link = fs::read_link(from).map_err(failed)?;
        symlink(link, to).map_err(failed)?;
        lchown(to, Some(meta.uid()), Some(meta.gid())).map_err(failed)
    } else if kind.is_file() {
        fs::copy(from, to).map_err(failed)?;
        chown(to, Some(meta.uid()), Some(meta.gid())).map_err(failed)?;
        fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777)).map_err(failed)
    } else {
        // Device nodes and sockets of an image have no place in a volume.
        Ok(())
    }
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
        copy_up(&[high.clone(), low], "/data", &out).unwrap();
        assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "high");
        assert_eq!(fs::read_to_string(out.join("sub/b")).unwrap(), "b");
        assert_eq!(resolve(&high, "/evil").unwrap(), None);
        fs::remove_dir_all(base).unwrap();
    }
}
