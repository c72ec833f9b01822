//! Where things are under the store's root, and which of them an operation still needs.
//!
//! Blobs and layer directories appear under their final names by rename only, complete and
//! verified. What the index does not name and no operation holds is rubbish: it is removed when
//! the last holder lets go, and when the store opens.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::rows::{LayerRow, Snapshot};
use crate::remove_tree::remove_tree;
use crate::{Digest, Error, Result};

/// Paths under the root, and the holds on what lies there.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    held: Mutex<HashMap<Digest, Held>>,
}

/// Layers that running operations rely on.
#[derive(Debug, Default)]
struct Held {
    count: usize,
    /// Known once the layer is in place although the index may not have it yet.
    row: Option<LayerRow>,
}

impl Files {
    /// Makes the directories under `root`.
    pub(crate) fn create(root: &Path) -> Result<Self> {
        let files = Self {
            root: root.to_owned(),
            held: Mutex::default(),
        };
        for directory in [files.layers(), files.blobs(), files.staging()] {
            fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        }
        Ok(files)
    }

    /// The index file.
    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index.redb")
    }

    /// An unpacked layer's directory.
    pub(crate) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    /// A blob's file.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    fn staging(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A fresh directory on the same file system, for work in progress.
    pub(crate) fn stage(&self) -> Result<Stage> {
        let staging = self.staging();
        let directory =
            TempDir::new_in(&staging).map_err(Error::io("create a directory in", &staging))?;
        Ok(Stage(Some(directory)))
    }

    /// Removes everything that the index does not name. Only when nothing else runs.
    pub(crate) fn sweep(&self, known: &Snapshot) -> Result<()> {
        let blobs: Vec<Digest> = known.layers.values().map(|row| row.blob).collect();
        let keep_layer =
            |name: &str| Digest::from_hex(name).is_some_and(|id| known.layers.contains_key(&id));
        let keep_blob =
            |name: &str| Digest::from_hex(name).is_some_and(|digest| blobs.contains(&digest));
        sweep_directory(&self.layers(), keep_layer)?;
        sweep_directory(&self.blobs(), keep_blob)?;
        sweep_directory(&self.staging(), |_| false)
    }

    /// Holds a layer and tells its row when it is in place. `lookup` reads the index.
    pub(crate) fn hold(
        &self,
        diff_id: &Digest,
        lookup: impl FnOnce() -> Option<LayerRow>,
    ) -> Option<LayerRow> {
        let mut held = self.lock();
        let hold = held.entry(*diff_id).or_default();
        hold.count += 1;
        if hold.row.is_none() {
            hold.row = lookup().filter(|_| self.layer(diff_id).is_dir());
        }
        hold.row.clone()
    }

    /// Puts an unpacked layer and its blob in place for everyone; the caller holds the layer.
    pub(crate) fn publish(
        &self,
        diff_id: &Digest,
        tree: &Path,
        blob: &Path,
        row: &LayerRow,
    ) -> Result<()> {
        let mut held = self.lock();
        if held.get(diff_id).is_some_and(|hold| hold.row.is_some()) {
            // Another operation brought the same layer first, and someone may use it already.
            return Ok(());
        }
        let (layer_path, blob_path) = (self.layer(diff_id), self.blob(&row.blob));
        fs::rename(blob, &blob_path).map_err(Error::io("rename to", &blob_path))?;
        if layer_path.is_dir() {
            remove_tree(&layer_path)?;
        }
        fs::rename(tree, &layer_path).map_err(Error::io("rename to", &layer_path))?;
        held.entry(*diff_id).or_default().row = Some(row.clone());
        Ok(())
    }

    /// Puts another form of a layer's blob in place; the caller holds the layer and changes the
    /// index next.
    pub(crate) fn exchange_blob(
        &self,
        diff_id: &Digest,
        blob: &Path,
        row: &LayerRow,
    ) -> Result<()> {
        let mut held = self.lock();
        let place = self.blob(&row.blob);
        fs::rename(blob, &place).map_err(Error::io("rename to", &place))?;
        held.entry(*diff_id).or_default().row = Some(row.clone());
        Ok(())
    }

    /// Lets go of a layer; `known` tells whether the index names it, and its blob.
    pub(crate) fn release(&self, diff_id: &Digest, known: impl FnOnce() -> Option<LayerRow>) {
        let mut held = self.lock();
        let Some(hold) = held.get_mut(diff_id) else {
            return;
        };
        hold.count -= 1;
        if hold.count > 0 {
            return;
        }
        let row = held.remove(diff_id).and_then(|hold| hold.row);
        let rubbish = match (row, known()) {
            (Some(row), None) => self.discard(&held, diff_id, Some(&row.blob)),
            _ => None,
        };
        drop(held);
        drop(rubbish);
    }

    /// Takes a layer that the index does not name any more out of sight, unless an operation holds
    /// it, and the blob when it is given. Dropping what this returns removes them, which may take
    /// a while.
    pub(crate) fn drop_layer(&self, diff_id: &Digest, blob: Option<&Digest>) -> Option<Stage> {
        let held = self.lock();
        if held.contains_key(diff_id) {
            return None;
        }
        self.discard(&held, diff_id, blob)
    }

    /// Moves a layer and its blob into a stage. What fails is left for the next sweep.
    fn discard(
        &self,
        held: &HashMap<Digest, Held>,
        diff_id: &Digest,
        blob: Option<&Digest>,
    ) -> Option<Stage> {
        let rename =
            |from: PathBuf, to: PathBuf| fs::rename(&from, &to).map_err(Error::io("rename", &from));
        let moved = self.stage().and_then(|stage| {
            let shared = |blob: &Digest| {
                held.values()
                    .any(|hold| hold.row.as_ref().is_some_and(|row| row.blob == *blob))
            };
            if let Some(blob) = blob.filter(|blob| !shared(blob)) {
                rename(self.blob(blob), stage.path().join("blob"))?;
            }
            rename(self.layer(diff_id), stage.path().join("layer"))?;
            Ok(stage)
        });
        moved
            .inspect_err(|error| tracing::warn!(%diff_id, %error, "a removed layer stays until the next start"))
            .ok()
    }

    /// Layers and blobs that are neither known nor held.
    pub(crate) fn strangers(
        &self,
        layer: impl Fn(&Digest) -> bool,
        blob: impl Fn(&Digest) -> bool,
    ) -> Result<Vec<String>> {
        let held = self.lock();
        let held_blob = |digest: &Digest| {
            let mut rows = held.values().filter_map(|hold| hold.row.as_ref());
            rows.any(|row| row.blob == *digest)
        };
        let mut strangers = Vec::new();
        for name in names_in(&self.layers())? {
            let known = Digest::from_hex(&name)
                .is_some_and(|digest| layer(&digest) || held.contains_key(&digest));
            if !known {
                strangers.push(format!("the directory layers/{name}"));
            }
        }
        for name in names_in(&self.blobs())? {
            let known =
                Digest::from_hex(&name).is_some_and(|digest| blob(&digest) || held_blob(&digest));
            if !known {
                strangers.push(format!("the file blobs/sha256/{name}"));
            }
        }
        Ok(strangers)
    }

    /// Brings everything written so far to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let root = File::open(&self.root).map_err(Error::io("open", &self.root))?;
        rustix::fs::syncfs(&root).map_err(|errno| Error::io("sync", &self.root)(errno.into()))
    }

    /// Bytes that are free for us.
    pub(crate) fn free(&self) -> Option<u64> {
        rustix::fs::statvfs(&self.root)
            .ok()
            .map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A directory of work in progress, removed when dropped.
#[derive(Debug)]
pub(crate) struct Stage(Option<TempDir>);

impl Stage {
    pub(crate) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Not by the library's own removal, which recurses into whatever a layer nested.
        if let Some(directory) = self.0.take() {
            let path = directory.keep();
            if let Err(error) = remove_tree(&path) {
                tracing::warn!(%error, "unfinished work stays until the next start");
            }
        }
    }
}

fn names_in(directory: &Path) -> Result<Vec<String>> {
    fs::read_dir(directory)
        .map_err(Error::io("list", directory))?
        .map(|entry| {
            let entry = entry.map_err(Error::io("list", directory))?;
            Ok(entry.file_name().to_string_lossy().into_owned())
        })
        .collect()
}

fn sweep_directory(directory: &Path, keep: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(Error::io("list", directory))? {
        let entry = entry.map_err(Error::io("list", directory))?;
        if !entry.file_name().to_str().is_some_and(&keep) {
            tracing::info!(path = %entry.path().display(), "removing what an interrupted operation left");
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}
