//! The index: which images, layers and names there are. One redb file, one transaction a change,
//! so that a crash leaves the last committed state. All of it but the documents is also kept in
//! memory, where it is read from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::{Database, ReadableDatabase as _, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

pub(crate) use super::rows::{Change, ImageRow, LayerRow, Snapshot};
use super::versions::{KEPT_ENTRIES, Version};
use crate::{Digest, Error, ImageConfig, Result};

/// Image id to [`ImageRow`] as JSON.
const IMAGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("images");
/// Image id to the exact bytes of its configuration.
const CONFIGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("configs");
/// Digest of a manifest or index to its exact bytes.
const DOCUMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("documents");
/// Diff id to [`LayerRow`] as JSON.
const LAYERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("layers");
/// Normal form of a reference to image id.
const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
/// Normal form of a reference and a number to [`Version`] as JSON.
const VERSIONS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("versions");
/// Diff id to [`Writing`](super::settle::Writing) as JSON, for layers that may not be on the disk yet.
const UNSETTLED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("unsettled");
/// A setting's name to JSON.
const SETTINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("settings");
const RETENTION: &str = "retention";
/// Few rows, all small: the default of a gigabyte would be a strange promise.
const CACHE_BYTES: usize = 4 << 20;

/// The index file. After an input or output error (a full disk) redb refuses everything until the
/// file is opened again, so that is done when it is needed.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    database: RwLock<Option<Database>>,
    current: RwLock<Arc<Snapshot>>,
    /// Configurations that were read before.
    parsed: Mutex<HashMap<Digest, ImageConfig>>,
    /// Held by whoever changes the file.
    changing: Mutex<()>,
}

/// Why one attempt on the open file failed.
enum Failure {
    /// An earlier error has closed the file for good.
    Closed,
    Other(Error),
}

impl Index {
    /// Opens or creates the index file and its tables.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let index = Self {
            path: path.to_owned(),
            database: RwLock::new(None),
            current: RwLock::default(),
            parsed: Mutex::default(),
            changing: Mutex::default(),
        };
        index.run(|database| {
            let write = database.begin_write().map_err(failed)?;
            for table in [IMAGES, CONFIGS, DOCUMENTS, LAYERS, UNSETTLED, SETTINGS] {
                write.open_table(table).map_err(failed)?;
            }
            write.open_table(NAMES).map_err(failed)?;
            write.open_table(VERSIONS).map_err(failed)?;
            write.commit().map_err(failed)
        })?;
        let current = index.run(read_all)?;
        *index
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
        Ok(index)
    }

    /// Does some work on the open file, which is opened (again) when it must be.
    fn run<T>(&self, work: impl Fn(&Database) -> std::result::Result<T, Failure>) -> Result<T> {
        let slot = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = attempt(slot.as_ref(), &work) {
            return done;
        }
        drop(slot);
        let mut slot = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // Another thread may have opened it meanwhile.
        if let Some(done) = attempt(slot.as_ref(), &work) {
            return done;
        }
        if slot.take().is_some() {
            tracing::warn!(path = %self.path.display(), "opening the image index again");
        }
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&self.path)
            .map_err(|error| match failed(error) {
                Failure::Other(no_space @ Error::NoSpace(_)) => no_space,
                Failure::Other(error) => {
                    Error::Index(format!("open {}: {error}", self.path.display()))
                }
                Failure::Closed => Error::Index(format!("open {}", self.path.display())),
            })?;
        work(slot.insert(database)).map_err(Error::from)
    }

    /// Everything but the documents, as of now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// What the file says, for comparing.
    pub(crate) fn reread(&self) -> Result<Snapshot> {
        self.run(read_all)
    }

    /// The exact configuration bytes of an image.
    pub(crate) fn config(&self, id: &Digest) -> Result<Option<Vec<u8>>> {
        self.bytes(CONFIGS, id)
    }

    /// The exact bytes of a manifest or index.
    pub(crate) fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        self.bytes(DOCUMENTS, digest)
    }

    fn bytes(
        &self,
        table: TableDefinition<'_, &'static str, &'static [u8]>,
        key: &Digest,
    ) -> Result<Option<Vec<u8>>> {
        self.run(|database| {
            let read = database.begin_read().map_err(failed)?;
            let table = read.open_table(table).map_err(failed)?;
            let bytes = table.get(key.to_string().as_str()).map_err(failed)?;
            Ok(bytes.map(|bytes| bytes.value().to_vec()))
        })
    }

    /// An image's configuration.
    pub(crate) fn parsed(&self, id: &Digest) -> Result<ImageConfig> {
        let known = |parsed: &HashMap<Digest, ImageConfig>| parsed.get(id).cloned();
        if let Some(config) = known(&self.parsed.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(config);
        }
        let bytes = self.config(id)?.ok_or_else(|| {
            Error::Index(format!(
                "image {id} has no configuration; remove the image and pull it again"
            ))
        })?;
        let config = ImageConfig::parse(&bytes)?;
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        parsed.insert(*id, config.clone());
        Ok(config)
    }

    /// One layer's row.
    pub(crate) fn layer(&self, diff_id: &Digest) -> Option<LayerRow> {
        self.snapshot().layers.get(diff_id).cloned()
    }

    /// Applies a change durably: it is on the disk when this returns. Numbers the versions and
    /// drops documents and versions that nothing needs any more.
    pub(crate) fn apply(&self, mut change: Change) -> Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        number_versions(&before, &mut change);
        let mut next = before;
        let snapshot = Arc::make_mut(&mut next);
        snapshot.apply(&change);
        if !change.drop_images.is_empty() || !change.put_documents.is_empty() {
            change.drop_documents = snapshot.loose_documents();
            for digest in &change.drop_documents {
                snapshot.documents.remove(digest);
            }
        }
        self.run(|database| write(database, &change))?;
        {
            let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
            for id in &change.drop_images {
                parsed.remove(id);
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }
}

/// Gives new versions the numbers that follow, and forgets the oldest of very long lists.
fn number_versions(before: &Snapshot, change: &mut Change) {
    let mut lasts: HashMap<String, u64> = HashMap::new();
    for (name, version) in &mut change.put_versions {
        let known = before.versions.get(name);
        let last = lasts.entry(name.clone()).or_insert_with(|| {
            known
                .and_then(|all| all.last())
                .map_or(0, |last| last.number)
        });
        *last += 1;
        version.number = *last;
        if let Some(known) = known
            && known.len() >= KEPT_ENTRIES
        {
            change
                .drop_versions
                .extend(known.first().map(|oldest| (name.clone(), oldest.number)));
        }
    }
}

/// `None` when there is no file open that can be used.
fn attempt<T>(
    database: Option<&Database>,
    work: impl Fn(&Database) -> std::result::Result<T, Failure>,
) -> Option<Result<T>> {
    match work(database?) {
        Ok(done) => Some(Ok(done)),
        Err(Failure::Closed) => None,
        Err(Failure::Other(error)) => Some(Err(error)),
    }
}

fn read_all(database: &Database) -> std::result::Result<Snapshot, Failure> {
    let read = database.begin_read().map_err(failed)?;
    let mut snapshot = Snapshot::default();
    let images = read.open_table(IMAGES).map_err(failed)?;
    for row in images.iter().map_err(failed)? {
        let (id, row) = row.map_err(failed)?;
        snapshot
            .images
            .insert(digest(id.value())?, json(row.value())?);
    }
    let layers = read.open_table(LAYERS).map_err(failed)?;
    for row in layers.iter().map_err(failed)? {
        let (id, row) = row.map_err(failed)?;
        snapshot
            .layers
            .insert(digest(id.value())?, json(row.value())?);
    }
    let names = read.open_table(NAMES).map_err(failed)?;
    for row in names.iter().map_err(failed)? {
        let (name, id) = row.map_err(failed)?;
        snapshot.name(name.value().to_owned(), digest(id.value())?);
    }
    let documents = read.open_table(DOCUMENTS).map_err(failed)?;
    for row in documents.iter().map_err(failed)? {
        snapshot
            .documents
            .insert(digest(row.map_err(failed)?.0.value())?);
    }
    let versions = read.open_table(VERSIONS).map_err(failed)?;
    for row in versions.iter().map_err(failed)? {
        let (key, row) = row.map_err(failed)?;
        let mut version: Version = json(row.value())?;
        version.number = key.value().1;
        let all = snapshot.versions.entry(key.value().0.to_owned());
        all.or_default().push(version);
    }
    let unsettled = read.open_table(UNSETTLED).map_err(failed)?;
    for row in unsettled.iter().map_err(failed)? {
        let (id, row) = row.map_err(failed)?;
        let writing = json(row.value())?;
        snapshot.unsettled.insert(digest(id.value())?, writing);
    }
    let settings = read.open_table(SETTINGS).map_err(failed)?;
    if let Some(row) = settings.get(RETENTION).map_err(failed)? {
        snapshot.retention = json(row.value())?;
    }
    Ok(snapshot)
}

fn write(database: &Database, change: &Change) -> std::result::Result<(), Failure> {
    let mut write = database.begin_write().map_err(failed)?;
    // Costs a little at each commit and saves a scan of the file after a crash.
    write.set_quick_repair(true);
    {
        let mut images = write.open_table(IMAGES).map_err(failed)?;
        let mut configs = write.open_table(CONFIGS).map_err(failed)?;
        let mut layers = write.open_table(LAYERS).map_err(failed)?;
        let mut names = write.open_table(NAMES).map_err(failed)?;
        let mut documents = write.open_table(DOCUMENTS).map_err(failed)?;
        let mut versions = write.open_table(VERSIONS).map_err(failed)?;
        let mut unsettled = write.open_table(UNSETTLED).map_err(failed)?;
        for name in &change.drop_names {
            names.remove(name.as_str()).map_err(failed)?;
        }
        for id in &change.drop_images {
            images.remove(id.to_string().as_str()).map_err(failed)?;
            configs.remove(id.to_string().as_str()).map_err(failed)?;
        }
        for id in &change.drop_layers {
            layers.remove(id.to_string().as_str()).map_err(failed)?;
        }
        for id in change.drop_layers.iter().chain(&change.drop_unsettled) {
            unsettled.remove(id.to_string().as_str()).map_err(failed)?;
        }
        for (name, number) in &change.drop_versions {
            versions.remove((name.as_str(), *number)).map_err(failed)?;
        }
        for (id, row) in &change.put_layers {
            layers
                .insert(id.to_string().as_str(), bytes(row)?.as_slice())
                .map_err(failed)?;
        }
        for (id, config) in &change.put_configs {
            configs
                .insert(id.to_string().as_str(), config.as_slice())
                .map_err(failed)?;
        }
        for (digest, document) in &change.put_documents {
            documents
                .insert(digest.to_string().as_str(), document.as_slice())
                .map_err(failed)?;
        }
        for digest in &change.drop_documents {
            documents
                .remove(digest.to_string().as_str())
                .map_err(failed)?;
        }
        for (id, row) in &change.put_images {
            images
                .insert(id.to_string().as_str(), bytes(row)?.as_slice())
                .map_err(failed)?;
        }
        for (reference, id) in &change.put_names {
            names
                .insert(reference.to_string().as_str(), id.to_string().as_str())
                .map_err(failed)?;
        }
        for (name, version) in &change.put_versions {
            versions
                .insert((name.as_str(), version.number), bytes(version)?.as_slice())
                .map_err(failed)?;
        }
        for (id, writing) in &change.put_unsettled {
            unsettled
                .insert(id.to_string().as_str(), bytes(writing)?.as_slice())
                .map_err(failed)?;
        }
        if let Some(retention) = &change.put_retention {
            let mut settings = write.open_table(SETTINGS).map_err(failed)?;
            settings
                .insert(RETENTION, bytes(retention)?.as_slice())
                .map_err(failed)?;
        }
    }
    write.commit().map_err(failed)
}

fn failed(error: impl Into<redb::Error>) -> Failure {
    match error.into() {
        redb::Error::PreviousIo => Failure::Closed,
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            Failure::Other(Error::NoSpace(
                "the image index could not be written".to_owned(),
            ))
        }
        error => Failure::Other(Error::Index(error.to_string())),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed => Self::Index(redb::Error::PreviousIo.to_string()),
            Failure::Other(error) => error,
        }
    }
}

fn digest(text: &str) -> Result<Digest> {
    Digest::parse(text).map_err(|error| Error::Index(error.to_string()))
}

fn json<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Index(error.to_string()))
}

fn bytes(row: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(row).map_err(|error| Error::Index(error.to_string()))
}
