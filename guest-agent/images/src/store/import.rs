//! Taking images in: layers are held, unpacked and put in place one by one, then everything
//! becomes visible in one transaction. An import that is dropped before leaves nothing.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Inner;
use super::index::{Change, ImageRow, LayerRow};
use crate::{Digest, Error, ImageConfig, Reference, Result};

/// One import in progress.
pub(crate) struct Import {
    store: Arc<Inner>,
    held: Mutex<Vec<Digest>>,
}

/// An image whose layers are all in place.
#[derive(Debug)]
pub(crate) struct NewImage {
    /// The digest of `config`.
    pub(crate) id: Digest,
    /// The exact configuration document.
    pub(crate) config: Vec<u8>,
    /// Names to give it.
    pub(crate) names: Vec<Reference>,
    /// The image that it was made from here.
    pub(crate) parent: Option<Digest>,
}

impl Import {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self {
            store,
            held: Mutex::default(),
        }
    }

    pub(crate) fn store(&self) -> &Inner {
        &self.store
    }

    /// Holds a layer until the import ends; tells whether it is here already.
    pub(crate) fn hold(&self, diff_id: &Digest) -> Result<bool> {
        let row = self
            .store
            .files
            .hold(diff_id, || self.store.index.layer(diff_id))?;
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(*diff_id);
        Ok(row.is_some())
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

    /// Makes the images visible, durably, all or none. Every layer must be held and in place.
    pub(crate) fn commit(&self, images: Vec<NewImage>) -> Result<()> {
        let mut change = Change::default();
        let now = now();
        for image in images {
            let layers = ImageConfig::parse(&image.config)?.diff_ids()?;
            for diff_id in &layers {
                let row = self
                    .store
                    .files
                    .hold(diff_id, || self.store.index.layer(diff_id))?;
                self.store
                    .files
                    .release(diff_id, || self.store.index.layer(diff_id));
                let row =
                    row.ok_or_else(|| Error::invalid(format!("layer {diff_id} is missing")))?;
                change.put_layers.push((*diff_id, row));
            }
            let row = ImageRow {
                layers,
                last_tagged: now,
                hidden: false,
                parent: image.parent,
            };
            change.put_images.push((image.id, row));
            change.put_configs.push((image.id, image.config));
            change
                .put_names
                .extend(image.names.into_iter().map(|name| (name, image.id)));
        }
        // The index must not name what a power cut could still take away.
        self.store.files.sync()?;
        let _writing = self.store.writing();
        self.store.index.apply(&change)
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
