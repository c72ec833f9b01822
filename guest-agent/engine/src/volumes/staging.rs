//! Files that are put together beside all volumes, and become one's files in a single step: after
//! a crash there are the old ones or the new ones. What never got there is swept away at the next
//! start ([`Volumes::load`]), since no volume's name begins with a dot.
//!
//! Those for a volume that is a mount are put together in a directory of that (`inside.rs`).

mod inside;

pub(super) use inside::holds_files;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use super::store::{Volume, Volumes, erase};
use crate::error::MAKE_ROOM;
use crate::time::Time;
use crate::{Error, ids};

/// A directory of files that are no volume's yet; removed when dropped.
#[derive(Debug)]
pub(super) struct Staged {
    dir: PathBuf,
    /// What the volume is a mount of.
    place: Option<OwnedFd>,
}

impl Volumes {
    /// An empty directory, with the owner and mode of the volume's own where there is one. Blocks.
    pub(super) fn stage(&self, volume: Option<&Volume>) -> Result<Staged, Error> {
        let staged = Staged {
            dir: self.directory(&format!(".{}", ids::random_id()?)),
            place: None,
        };
        let data = staged.data();
        std::fs::create_dir_all(&data).map_err(|e| failed("creating", &data, e))?;
        if let Some(volume) = volume {
            let old = &volume.mountpoint;
            old.metadata()
                .and_then(|old| {
                    chown(&data, Some(old.uid()), Some(old.gid()))?;
                    let mode = std::fs::Permissions::from_mode(old.mode() & 0o7777);
                    std::fs::set_permissions(&data, mode)
                })
                .map_err(|e| Error::file("reading", old, e))?;
        }
        Ok(staged)
    }

    /// Makes a volume of staged files. Blocks.
    pub(super) fn adopt(
        &self,
        staged: Staged,
        name: &str,
        labels: Option<BTreeMap<String, String>>,
    ) -> Result<Volume, Error> {
        staged.sync()?;
        let volume = Volume {
            name: name.to_owned(),
            created: Time::now(),
            labels,
            options: None,
            mountpoint: self.directory(name).join("_data"),
        };
        volume.save(&staged.dir)?;
        let mut inner = self.lock();
        if inner.known.contains_key(name) {
            return Err(Error::Conflict(format!(
                "a volume named {name} was made meanwhile"
            )));
        }
        let target = self.directory(name);
        rustix::fs::renameat_with(CWD, &staged.dir, CWD, &target, RenameFlags::NOREPLACE)
            .map_err(|e| Error::file("creating", &target, e.into()))?;
        inner.known.insert(name.to_owned(), volume.clone());
        drop(inner);
        sync_directory(&self.directory(""))?;
        Ok(volume)
    }
}

impl Staged {
    /// Where the files are.
    fn data(&self) -> PathBuf {
        self.dir.join("_data")
    }

    /// The same, as a handle.
    pub(super) fn open(&self) -> Result<OwnedFd, Error> {
        let data = self.data();
        File::open(&data)
            .map(OwnedFd::from)
            .map_err(|e| Error::file("opening", &data, e))
    }

    /// The directory that the files are for.
    pub(super) fn target(&self, volume: &Volume) -> Result<OwnedFd, Error> {
        let data = &volume.mountpoint;
        let opened = match &self.place {
            Some(place) => place.try_clone(),
            None => File::open(data).map(OwnedFd::from),
        };
        opened.map_err(|e| Error::file("opening", data, e))
    }

    /// Has the disk take all of it, which may be what fills it. Blocks.
    pub(super) fn sync(&self) -> Result<(), Error> {
        let directory = self.open()?;
        rustix::fs::syncfs(&directory).map_err(|e| failed("syncing", &self.dir, e.into()))
    }

    /// Puts the files in the place of a volume's, which go. The caller keeps others away. Blocks.
    pub(super) fn replace(self, volume: &Volume) -> Result<(), Error> {
        if let Some(place) = &self.place {
            return self.replace_inside(place);
        }
        let (new, old) = (self.data(), &volume.mountpoint);
        rustix::fs::renameat_with(CWD, &new, CWD, old, RenameFlags::EXCHANGE)
            .map_err(|e| Error::file("replacing", old, e.into()))?;
        for changed in [old.parent(), new.parent()].into_iter().flatten() {
            sync_directory(changed)?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone where it has become a volume.
        if let Err(error) = erase(&self.dir) {
            tracing::warn!(%error, "removing what was not put in place");
        }
    }
}

/// Why files could not be put together, when what they come from or go to says it.
pub(super) fn not_staged(error: images::Error) -> Error {
    match error.kind() {
        images::Kind::NoSpace => no_room(),
        _ => error.into(),
    }
}

fn failed(action: &'static str, path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => no_room(),
        _ => Error::file(action, path, error),
    }
}

fn no_room() -> Error {
    Error::System(format!(
        "no space left on device: the files do not fit on the data disk, and nothing was changed; {MAKE_ROOM}"
    ))
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|e| Error::file("syncing", path, e))
}
