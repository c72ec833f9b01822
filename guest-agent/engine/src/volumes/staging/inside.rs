//! Files for a volume that is a mount of a directory elsewhere: that can't be exchanged as a whole, so
//! they are put together in a directory of it, and entries change places by their names. An error
//! leaves what was there; after a crash in between the old files are in that directory.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::{Staged, failed};
use crate::{Error, ids};

/// What the directory's name begins with.
const PREFIX: &str = ".slipway-restore-";

impl Staged {
    /// An empty directory in a volume's. Blocks.
    pub(in crate::volumes) fn inside(place: OwnedFd) -> Result<Self, Error> {
        let name = format!("{PREFIX}{}", ids::short(&ids::random_id()?));
        let staged = Self {
            dir: path_of(&place).join(name),
            place: Some(place),
        };
        let data = staged.data();
        fs::create_dir_all(&data).map_err(|e| failed("creating", &data, e))?;
        Ok(staged)
    }

    pub(super) fn replace_inside(&self, place: &OwnedFd) -> Result<(), Error> {
        let (place, new, old) = (path_of(place), self.data(), self.dir.join("_old"));
        fs::create_dir(&old).map_err(|e| failed("creating", &old, e))?;
        if let Err(error) = move_all(&place, &old).and_then(|()| move_all(&new, &place)) {
            // What came goes, and what went comes back.
            let back = move_all(&place, &new).and_then(|()| move_all(&old, &place));
            return Err(match back {
                Ok(()) => error,
                Err(_) => error.prefixed("some files are now in a directory .slipway-restore-…: "),
            });
        }
        let like_new = || {
            let root = new.metadata()?;
            chown(&place, Some(root.uid()), Some(root.gid()))?;
            fs::set_permissions(&place, fs::Permissions::from_mode(root.mode() & 0o7777))
        };
        if let Err(error) = like_new() {
            tracing::warn!(%error, "a volume's own directory keeps its owner and mode");
        }
        self.sync()
    }
}

/// Whether a volume's directory holds anything but files that are put together in it.
pub(in crate::volumes) fn holds_files(place: &OwnedFd) -> Result<bool, Error> {
    Ok(!names(&path_of(place))?.is_empty())
}

fn path_of(place: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", place.as_raw_fd()).into()
}

fn names(directory: &Path) -> Result<Vec<std::ffi::OsString>, Error> {
    let failed = |e| Error::file("reading", directory, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !name.to_string_lossy().starts_with(PREFIX) {
            names.push(name);
        }
    }
    Ok(names)
}

fn move_all(from: &Path, to: &Path) -> Result<(), Error> {
    for name in names(from)? {
        let old = from.join(&name);
        fs::rename(&old, to.join(&name)).map_err(|e| Error::file("moving", &old, e))?;
    }
    Ok(())
}
