//! The image store: the one door to everything this crate keeps.

use std::path::{Path, PathBuf};

use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use crate::{
    ContainerUse, Digest, Error, Image, LoadedImage, PullOptions, PullProgress, Pulled, Reference,
    RemoveOptions, Removed, Result,
};

/// The images under one root directory. Cheap to clone; all clones share one index.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Opens or creates the store in `root`, removing what an interrupted operation left behind.
    /// One store may be open on a root at a time. Blocks.
    pub fn open(_root: &Path) -> Result<Self> {
        Err(Error::Interrupted)
    }

    /// Every image, newest first.
    pub fn list(&self) -> Result<Vec<Image>> {
        Err(Error::Interrupted)
    }

    /// Finds an image by name, `name:tag`, `name@digest`, id or unique id prefix.
    pub fn resolve(&self, _name_or_id: &str) -> Result<Image> {
        Err(Error::Interrupted)
    }

    /// The image with this id, even when it was removed by force and only containers still use it.
    pub fn get(&self, _id: &Digest) -> Result<Image> {
        Err(Error::Interrupted)
    }

    /// Gives an image another name, taking that name from whichever image had it.
    pub fn tag(&self, _id: &Digest, _reference: &Reference) -> Result<()> {
        Err(Error::Interrupted)
    }

    /// Removes a name, and the image with its last name, as `docker rmi` does. `users` returns the
    /// containers that use an image. Blocks.
    pub fn remove(
        &self,
        _name_or_id: &str,
        _options: RemoveOptions,
        _users: impl Fn(&Digest) -> Vec<ContainerUse>,
    ) -> Result<Vec<Removed>> {
        Err(Error::Interrupted)
    }

    /// Frees the layers of images that were removed by force while a container used them and that
    /// no container uses any more. To be called after a container is removed. Blocks.
    pub fn collect(&self, _users: impl Fn(&Digest) -> Vec<ContainerUse>) -> Result<()> {
        Err(Error::Interrupted)
    }

    /// The directories of an image's layers for overlayfs, topmost first.
    pub fn layers(&self, _image: &Image) -> Result<Vec<PathBuf>> {
        Err(Error::Interrupted)
    }

    /// Takes in the images of an archive: `docker save`'s or an OCI layout, plain, gzip or zstd.
    /// When it fails nothing of the archive stays.
    pub async fn load(
        &self,
        _archive: impl AsyncRead + Send + Unpin,
        _progress: mpsc::Sender<PullProgress>,
    ) -> Result<Vec<LoadedImage>> {
        Err(Error::Interrupted)
    }

    /// Pulls an image from its registry.
    pub async fn pull(
        &self,
        _reference: &Reference,
        _options: PullOptions,
        _progress: mpsc::Sender<PullProgress>,
    ) -> Result<Pulled> {
        Err(Error::Interrupted)
    }
}
