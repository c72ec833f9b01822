//! What overlayfs keeps in its writable directory, and what image layers have for it.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::header;
use crate::{Error, Result};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Whether this stands for a file of the layers below that was removed.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// The entry that says that `name` is gone.
pub(super) fn whiteout(name: &[u8]) -> Result<Vec<u8>> {
    let start = name
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |at| at + 1);
    header::empty_file(&[&name[..start], WHITEOUT, &name[start..]].concat())
}

/// The entry that says that only the layer's own files are in this directory.
pub(super) fn opaque(directory: &[u8]) -> Result<Vec<u8>> {
    header::empty_file(&[directory, OPAQUE].concat())
}

/// Whether nothing of the layers below is seen in this directory.
pub(super) fn is_opaque(directory: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
    let mut value = [0; 8];
    let mut has = |attribute| match rustix::fs::fgetxattr(directory, attribute, &mut value[..]) {
        Ok(1) => Some(value[0]),
        Ok(_) | Err(Errno::RANGE) => Some(0),
        Err(_) => None,
    };
    // A directory that was moved as a whole: its files are somewhere else in the layers below.
    if has("trusted.overlay.redirect").is_some() {
        return Err(Error::invalid(format!(
            "the directory /{} was moved by overlayfs without its files; this kernel's redirect_dir must be off",
            String::from_utf8_lossy(name)
        )));
    }
    Ok(has("trusted.overlay.opaque") == Some(b'y'))
}

/// Refuses names that a layer cannot hold: there they would remove other files.
pub(super) fn check_name(name: &[u8]) -> Result<()> {
    let start = name
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |at| at + 1);
    if name[start..].starts_with(WHITEOUT) {
        return Err(Error::invalid(format!(
            "the container has a file /{}, and in an image names that begin with .wh. stand for removed files: remove or rename it",
            String::from_utf8_lossy(name)
        )));
    }
    Ok(())
}
