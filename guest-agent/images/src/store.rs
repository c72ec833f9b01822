//! The image store: the one door to everything this crate keeps.
//!
//! Under the root: `index.redb` (names, images, layers, manifests, the names' history),
//! `layers/<diff id>/` (unpacked, shared by all images that have the layer), `blobs/sha256/` (layers
//! as they came, for pushing and saving the very same bytes), `tmp/` (work in progress).

mod check;
mod commit;
mod files;
mod import;
mod index;
pub(crate) mod names;
mod removal;
mod rows;
mod settle;
mod usage;
pub(crate) mod versions;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};

pub use self::check::{Finding, StoreReport};
pub use self::commit::{Commit, CommittedLayer};
use self::files::Files;
pub(crate) use self::files::Stage;
pub(crate) use self::import::{Import, Lower, NewImage};
use self::index::Index;
pub(crate) use self::rows::{Change, ImageRow, LayerRow, Snapshot};
pub use self::usage::Usage;
use self::versions::Origin;
use crate::{
    ContainerUse, Digest, Error, Image, LoadOptions, LoadedImage, Platform, PullOptions,
    PullProgress, Pulled, PushOptions, Reference, Removal, RemoveOptions, Result,
};

/// The images under one root directory. Cheap to clone; all clones share one index.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) files: Files,
    pub(crate) index: Index,
    writing: Mutex<()>,
    /// There are layers that may not be on the disk yet.
    unsettled: Notify,
    /// Layers that somebody is bringing, each with its queue.
    turns: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Inner {
    /// Waits until nobody else brings this layer, and keeps others waiting until dropped.
    pub(crate) async fn layer_turn(&self, diff_id: &Digest) -> tokio::sync::OwnedMutexGuard<()> {
        let queue = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, queue| queue.strong_count() > 0);
            let queue = turns
                .get(diff_id)
                .and_then(Weak::upgrade)
                .unwrap_or_default();
            turns.insert(*diff_id, Arc::downgrade(&queue));
            queue
        };
        queue.lock_owned().await
    }

    /// Excludes other changes, for those that decide by what they read.
    pub(crate) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Opens or creates the store in `root`, removing what an interrupted operation left behind.
    /// One store may be open on a root at a time. Blocks.
    pub fn open(root: &Path) -> Result<Self> {
        let files = Files::create(root)?;
        let index = Index::open(&files.index())?;
        let store = Self {
            inner: Arc::new(Inner {
                files,
                index,
                writing: Mutex::new(()),
                unsettled: Notify::new(),
                turns: Mutex::default(),
            }),
        };
        store.recover()?;
        let inner = &store.inner;
        inner.files.sweep(&inner.index.snapshot())?;
        Ok(store)
    }

    /// Every image, newest first.
    pub fn list(&self) -> Result<Vec<Image>> {
        let index = self.inner.index.snapshot();
        let visible = index.images.iter().filter(|(_, row)| !row.hidden);
        let mut images = visible
            .map(|(id, row)| self.image(&index, id, row))
            .collect::<Result<Vec<_>>>()?;
        let created =
            |image: &Image| -> Option<jiff::Timestamp> { image.created.as_deref()?.parse().ok() };
        images.sort_by_cached_key(|image| std::cmp::Reverse(created(image)));
        Ok(images)
    }

    /// Finds an image by name, `name:tag`, `name@digest`, id or unique id prefix.
    pub fn resolve(&self, name_or_id: &str) -> Result<Image> {
        let index = self.inner.index.snapshot();
        let id = names::resolve(&index, name_or_id)?;
        let row = index
            .images
            .get(&id)
            .ok_or_else(|| Error::no_such_image(name_or_id))?;
        self.image(&index, &id, row)
    }

    /// The image with this id, even when it was removed by force and only containers still use it.
    pub fn get(&self, id: &Digest) -> Result<Image> {
        let index = self.inner.index.snapshot();
        let row = index
            .images
            .get(id)
            .ok_or_else(|| Error::no_such_image(&id.to_string()))?;
        self.image(&index, id, row)
    }

    /// Gives an image another name, taking that name from whichever image had it.
    pub fn tag(&self, id: &Digest, reference: &Reference, origin: &Origin) -> Result<()> {
        if reference.digest().is_some() {
            return Err(Error::invalid(
                "refusing to create a tag with a digest reference",
            ));
        }
        self.name(id, reference, origin)
    }

    /// Removes a name, and the image with its last name, as `docker rmi` does. `users` returns the
    /// containers that use an image, `by` is the client that asks. Blocks.
    pub fn remove(
        &self,
        name_or_id: &str,
        options: RemoveOptions,
        by: &str,
        users: impl Fn(&Digest) -> Vec<ContainerUse>,
    ) -> Result<Removal> {
        let writing = self.inner.writing();
        let index = self.inner.index.snapshot();
        let mut plan = removal::plan(&index, name_or_id, options, &users)?;
        plan.note(&index, by);
        let freed = plan.freed(&index);
        let rubbish = self.apply_removal(&index, plan.change)?;
        // Removing files takes a while; nobody has to wait for it.
        drop(writing);
        drop(rubbish);
        Ok(Removal {
            steps: plan.removed,
            freed,
        })
    }

    /// Frees the layers of images that were removed by force while a container used them and that
    /// no container uses any more. To be called after a container is removed. Blocks.
    pub fn collect(&self, users: impl Fn(&Digest) -> Vec<ContainerUse>) -> Result<()> {
        let writing = self.inner.writing();
        let index = self.inner.index.snapshot();
        let change = removal::collect(&index, &users);
        if change.drop_images.is_empty() {
            return Ok(());
        }
        let rubbish = self.apply_removal(&index, change)?;
        drop(writing);
        drop(rubbish);
        Ok(())
    }

    /// The index first: a crash between leaves files that the next start sweeps.
    fn apply_removal(&self, index: &Snapshot, change: Change) -> Result<Vec<Stage>> {
        let gone = change.drop_layers.clone();
        self.inner.index.apply(change)?;
        let mut rubbish = Vec::new();
        for layer in &gone {
            let blob = index.layers.get(layer).map(|row| row.blob);
            let shared = index
                .layers
                .iter()
                .any(|(other, row)| !gone.contains(other) && Some(row.blob) == blob);
            rubbish.extend(
                self.inner
                    .files
                    .drop_layer(layer, blob.as_ref().filter(|_| !shared)),
            );
        }
        Ok(rubbish)
    }

    /// The directories of an image's layers for overlayfs, topmost first.
    pub fn layers(&self, image: &Image) -> Result<Vec<PathBuf>> {
        let paths = image
            .layers
            .iter()
            .rev()
            .map(|diff_id| self.inner.files.layer(diff_id));
        paths
            .map(|path| match path.is_dir() {
                true => Ok(path),
                false => Err(Error::Io {
                    action: "open layer",
                    source: std::io::ErrorKind::NotFound.into(),
                    path,
                }),
            })
            .collect()
    }

    /// Takes in the images of an archive: `docker save`'s or an OCI layout, plain, gzip or zstd.
    /// When it fails nothing of the archive stays.
    pub async fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin,
        options: LoadOptions,
        progress: mpsc::Sender<PullProgress>,
    ) -> Result<Vec<LoadedImage>> {
        crate::load::load(self.inner.clone(), archive, options, progress).await
    }

    /// Makes an image of an archive of files, plain or compressed. `describe` writes the
    /// configuration for the layer's digest; returns the image's id.
    pub async fn import(
        &self,
        archive: impl AsyncRead + Send + Unpin,
        name: Option<Reference>,
        origin: Origin,
        describe: impl FnOnce(Digest) -> Result<Vec<u8>> + Send + 'static,
    ) -> Result<Digest> {
        crate::import::import(self.inner.clone(), archive, name, origin, describe).await
    }

    /// Writes images into one archive that `docker load`, [`Self::load`] and OCI tools take. A name
    /// without a tag means all tags of that repository. Returns the images.
    pub async fn save(
        &self,
        names: &[String],
        platform: Option<&Platform>,
        archive: impl AsyncWrite + Send + Unpin,
    ) -> Result<Vec<Digest>> {
        crate::save::save(self.inner.clone(), names, platform, archive).await
    }

    /// Pulls an image from its registry.
    pub async fn pull(
        &self,
        reference: &Reference,
        options: PullOptions,
        progress: mpsc::Sender<PullProgress>,
    ) -> Result<Pulled> {
        crate::pull::pull(self.inner.clone(), reference, options, progress).await
    }

    /// Pushes a tag to its registry, or all tags of the repository when there is none.
    pub async fn push(
        &self,
        reference: &Reference,
        options: PushOptions,
        progress: mpsc::Sender<PullProgress>,
    ) -> Result<()> {
        crate::push::push(self.inner.clone(), reference, options, progress).await
    }

    /// The image's manifest: the one it came with, or else the one it would be saved with.
    pub fn manifest(&self, image: &Image) -> Result<crate::ImageManifest> {
        crate::describe::of_image(&self.inner, image)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    fn image(&self, index: &Snapshot, id: &Digest, row: &ImageRow) -> Result<Image> {
        let config = self.inner.index.parsed(id)?;
        let names = names::references(index, id);
        let platform = config.platform();
        let familiar = |digests: bool| {
            let wanted = names
                .iter()
                .filter(|name| name.digest().is_some() == digests);
            wanted.map(Reference::familiar).collect()
        };
        let size = |layer| index.layers.get(layer).map_or(0, |row| row.size);
        let layer_sizes: Vec<u64> = row.layers.iter().map(size).collect();
        Ok(Image {
            id: *id,
            repo_tags: familiar(false),
            repo_digests: familiar(true),
            created: config.created().map(str::to_owned),
            size: layer_sizes.iter().sum(),
            layer_sizes,
            architecture: platform.architecture,
            variant: config.variant().to_owned(),
            os: platform.os,
            parent: row
                .parent
                .filter(|parent| index.images.contains_key(parent)),
            layers: row.layers.clone(),
            last_tagged: row.last_tagged,
            config,
        })
    }
}
