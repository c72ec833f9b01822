//! The index: which images, layers and names there are. One redb file, one transaction a change,
//! so that a crash leaves the last committed state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{
    Database, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _, TableDefinition,
};
use serde::{Deserialize, Serialize};

use crate::{Digest, Error, Reference, Result};

/// Image id to [`ImageRow`] as JSON.
const IMAGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("images");
/// Image id to the exact bytes of its configuration.
const CONFIGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("configs");
/// Diff id to [`LayerRow`] as JSON.
const LAYERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("layers");
/// Normal form of a reference to image id.
const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
/// Few rows, all small: the default of a gigabyte would be a strange promise.
const CACHE_BYTES: usize = 4 << 20;

/// What the index keeps of an image besides its configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ImageRow {
    /// Diff ids, lowest first.
    pub(crate) layers: Vec<Digest>,
    /// When a name was last given, in nanoseconds since 1970.
    #[serde(default)]
    pub(crate) last_tagged: i64,
    /// Removed by force while a container used it: kept for that container only.
    #[serde(default)]
    pub(crate) hidden: bool,
    /// The image that this one was made from here.
    #[serde(default)]
    pub(crate) parent: Option<Digest>,
}

/// An unpacked layer and the blob it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRow {
    /// Sum of the files' sizes.
    pub(crate) size: u64,
    /// The blob as it came, usually compressed.
    pub(crate) blob: Digest,
    /// The blob's size.
    pub(crate) blob_size: u64,
}

/// Everything in the index, read in one transaction. Small: a few hundred rows at most.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) images: BTreeMap<Digest, ImageRow>,
    pub(crate) layers: HashMap<Digest, LayerRow>,
    pub(crate) names: BTreeMap<String, Digest>,
}

/// One change, applied as a whole.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) put_images: Vec<(Digest, ImageRow)>,
    pub(crate) put_configs: Vec<(Digest, Vec<u8>)>,
    pub(crate) put_layers: Vec<(Digest, LayerRow)>,
    pub(crate) put_names: Vec<(Reference, Digest)>,
    pub(crate) drop_images: Vec<Digest>,
    pub(crate) drop_layers: BTreeSet<Digest>,
    pub(crate) drop_names: Vec<String>,
}

/// The index file. After an input or output error (a full disk) redb refuses everything until the
/// file is opened again, so that is done when it is needed.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    database: RwLock<Option<Database>>,
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
        };
        index.run(|database| {
            let write = database.begin_write().map_err(failed)?;
            write.open_table(IMAGES).map_err(failed)?;
            write.open_table(CONFIGS).map_err(failed)?;
            write.open_table(LAYERS).map_err(failed)?;
            write.open_table(NAMES).map_err(failed)?;
            write.commit().map_err(failed)
        })?;
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

    /// Reads everything but the configurations.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        self.run(snapshot)
    }

    /// The exact configuration bytes of an image.
    pub(crate) fn config(&self, id: &Digest) -> Result<Option<Vec<u8>>> {
        self.run(|database| {
            let read = database.begin_read().map_err(failed)?;
            let table = read.open_table(CONFIGS).map_err(failed)?;
            let bytes = table.get(id.to_string().as_str()).map_err(failed)?;
            Ok(bytes.map(|bytes| bytes.value().to_vec()))
        })
    }

    /// One layer's row.
    pub(crate) fn layer(&self, diff_id: &Digest) -> Result<Option<LayerRow>> {
        self.run(|database| {
            let read = database.begin_read().map_err(failed)?;
            let table = read.open_table(LAYERS).map_err(failed)?;
            let row = table.get(diff_id.to_string().as_str()).map_err(failed)?;
            Ok(row.map(|row| json(row.value())).transpose()?)
        })
    }

    /// Applies a change durably: it is on the disk when this returns.
    pub(crate) fn apply(&self, change: &Change) -> Result<()> {
        self.run(|database| apply(database, change))
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

fn snapshot(database: &Database) -> std::result::Result<Snapshot, Failure> {
    let read = database.begin_read().map_err(failed)?;
    let mut snapshot = Snapshot::default();
    for row in read
        .open_table(IMAGES)
        .map_err(failed)?
        .iter()
        .map_err(failed)?
    {
        let (id, row) = row.map_err(failed)?;
        snapshot
            .images
            .insert(digest(id.value())?, json(row.value())?);
    }
    for row in read
        .open_table(LAYERS)
        .map_err(failed)?
        .iter()
        .map_err(failed)?
    {
        let (id, row) = row.map_err(failed)?;
        snapshot
            .layers
            .insert(digest(id.value())?, json(row.value())?);
    }
    for row in read
        .open_table(NAMES)
        .map_err(failed)?
        .iter()
        .map_err(failed)?
    {
        let (name, id) = row.map_err(failed)?;
        snapshot
            .names
            .insert(name.value().to_owned(), digest(id.value())?);
    }
    Ok(snapshot)
}

fn apply(database: &Database, change: &Change) -> std::result::Result<(), Failure> {
    let mut write = database.begin_write().map_err(failed)?;
    // Costs a little at each commit and saves a scan of the file after a crash.
    write.set_quick_repair(true);
    {
        let mut images = write.open_table(IMAGES).map_err(failed)?;
        let mut configs = write.open_table(CONFIGS).map_err(failed)?;
        let mut layers = write.open_table(LAYERS).map_err(failed)?;
        let mut names = write.open_table(NAMES).map_err(failed)?;
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
        tracing::debug!(
            images = images.len().unwrap_or_default(),
            "image index changed"
        );
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
