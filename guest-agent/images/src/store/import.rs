//! Taking images in: layers are held, unpacked and put in place one by one, then everything
//! becomes visible in one transaction. An import that is dropped before leaves nothing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Inner;
use super::index::{Change, ImageRow, LayerRow, Snapshot};
use super::settle::Writing;
use super::versions::{self, How, Origin, Version};
use crate::merged::Merged;
use crate::unpack::Below;
use crate::{Digest, Error, ImageConfig, Reference, Result};

/// One import in progress.
pub(crate) struct Import {
    store: Arc<Inner>,
    held: Mutex<Vec<Digest>>,
    given_up: AtomicBool,
}

/// An image whose layers are all in place.
#[derive(Debug, Default)]
pub(crate) struct NewImage {
    /// The exact configuration document, whose digest is the image's id.
    pub(crate) config: Vec<u8>,
    /// Names to give it.
    pub(crate) names: Vec<Reference>,
    /// The image that it was made from here.
    pub(crate) parent: Option<Digest>,
    /// The manifest that it came with.
    pub(crate) manifest: Option<Bytes>,
    /// The index that named the manifest.
    pub(crate) index: Option<Bytes>,
    /// The digest that the registry has it by.
    pub(crate) digest: Option<Digest>,
    /// The blobs of its layers, lowest first, and the repository that has them.
    pub(crate) found: Option<(Vec<Digest>, String)>,
}

impl Import {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self {
            store,
            held: Mutex::default(),
            given_up: AtomicBool::new(false),
        }
    }

    /// Tells whoever waits for a layer that it won't come.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn store(&self) -> &Inner {
        &self.store
    }

    /// Holds a layer until the import ends; tells whether it is here already.
    pub(crate) fn hold(&self, diff_id: &Digest) -> bool {
        let row = self
            .store
            .files
            .hold(diff_id, || self.store.index.layer(diff_id));
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(*diff_id);
        row.is_some()
    }

    /// Puts a verified layer in place. The layer must be held.
    pub(crate) fn publish(
        &self,
        diff_id: &Digest,
        tree: &Path,
        blob: &Path,
        row: &LayerRow,
    ) -> Result<()> {
        self.store.files.publish(diff_id, tree, blob, row)
    }

    /// Makes the images visible, all or none. Every layer must be held and in place. Nobody waits
    /// for the layers' files to be on the disk: see `settle`.
    pub(crate) fn commit(&self, images: Vec<NewImage>, origin: &Origin) -> Result<()> {
        let mut prepared = Vec::new();
        for image in images {
            let config = ImageConfig::parse(&image.config)?;
            prepared.push((config.diff_ids()?, config, image));
        }
        let _writing = self.store.writing();
        let index = self.store.index.snapshot();
        let mut change = Change::default();
        for (layers, config, image) in prepared {
            self.add(&index, &mut change, layers, &config, image, origin)?;
        }
        let new = change.put_layers.iter().map(|(diff_id, _)| *diff_id);
        let new = new.filter(|diff_id| !index.layers.contains_key(diff_id));
        change.put_unsettled = new.map(|diff_id| (diff_id, Writing::now())).collect();
        self.store.index.apply(change)?;
        self.store.unsettled.notify_one();
        Ok(())
    }

    fn add(
        &self,
        index: &Snapshot,
        change: &mut Change,
        layers: Vec<Digest>,
        config: &ImageConfig,
        image: NewImage,
        origin: &Origin,
    ) -> Result<()> {
        let id = Digest::of(&image.config);
        let mut size = 0;
        for (place, diff_id) in layers.iter().enumerate() {
            let mut row = self.row(diff_id)?;
            size += row.size;
            let below = &layers[..place];
            if let Some(other) = row.borrowed.iter().find(|id| !below.contains(id)) {
                return Err(Error::invalid(format!(
                    "layer {diff_id} was unpacked above layer {other}, whose files it links to, and this image has another one there; remove the image that has both, then try again"
                )));
            }
            if let Some((blobs, repository)) = &image.found
                && blobs.get(place) == Some(&row.blob)
            {
                row.found(repository);
            }
            change.put_layers.push((*diff_id, row));
        }
        for name in &image.names {
            let version = || Version::new(id, image.digest, origin, size, Some(config));
            versions::note(index, change, name, version, &id);
        }
        let before = index.images.get(&id);
        let mut keep = |document: Option<Bytes>| {
            document.map(|bytes| {
                let digest = Digest::of(&bytes);
                change.put_documents.push((digest, bytes.to_vec()));
                digest
            })
        };
        // Names that come along are no tagging, as Docker has it.
        let comes_along = matches!(origin.how, How::Pull | How::Load);
        let tagged = !image.names.is_empty() && !comes_along;
        let row = ImageRow {
            layers,
            last_tagged: if tagged {
                now()
            } else {
                before.map_or(0, |row| row.last_tagged)
            },
            hidden: false,
            parent: image.parent.or(before.and_then(|row| row.parent)),
            manifest: keep(image.manifest).or(before.and_then(|row| row.manifest)),
            index: keep(image.index).or(before.and_then(|row| row.index)),
        };
        change.put_images.push((id, row));
        change.put_configs.push((id, image.config));
        let names = image.names.into_iter().map(|name| (name, id));
        change.put_names.extend(names);
        Ok(())
    }

    /// The row of a layer that is held and in place.
    pub(crate) fn row(&self, diff_id: &Digest) -> Result<LayerRow> {
        let lookup = || self.store.index.layer(diff_id);
        // What the index says is newer than what was true when the layer was held.
        let row = lookup().or_else(|| {
            let row = self.store.files.hold(diff_id, lookup);
            self.store.files.release(diff_id, lookup);
            row
        });
        row.ok_or_else(|| Error::invalid(format!("layer {diff_id} is missing")))
    }
}

/// The layers below one that is unpacked, which other threads may still be bringing.
pub(crate) struct Lower<'a> {
    pub(crate) import: &'a Import,
    /// Lowest first.
    pub(crate) layers: &'a [Digest],
}

/// How long a layer waits for those below: as long as a slow download of them may take.
const PATIENCE: Duration = Duration::from_secs(900);

impl Below for Lower<'_> {
    fn files(&self) -> Result<Merged> {
        let end = Instant::now() + PATIENCE;
        for diff_id in self.layers {
            while self.import.row(diff_id).is_err() {
                if self.import.given_up.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                if Instant::now() > end {
                    return Err(Error::invalid(format!(
                        "layer {diff_id} did not arrive, and the one above links to its files"
                    )));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let files = &self.import.store.files;
        let layers = self.layers.iter().rev();
        Merged::open_all(layers.map(|id| (*id, files.layer(id))).collect())
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        for diff_id in held {
            self.store
                .files
                .release(&diff_id, || self.store.index.layer(&diff_id));
        }
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0)
}
