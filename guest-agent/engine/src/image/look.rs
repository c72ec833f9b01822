//! Looking into images, and checking the store.

use std::sync::Arc;

use images::{Changes, Entry, FileContent, LayerInfo, StoreReport, Usage, Waste};

use crate::{Engine, Error, blocking};

impl Engine {
    /// An image's layers, lowest first.
    pub async fn image_layers(self: &Arc<Self>, name: &str) -> Result<Vec<LayerInfo>, Error> {
        let engine = Arc::clone(self);
        let name = name.to_owned();
        blocking::run(move || {
            let store = engine.store()?;
            Ok(store.layer_infos(&store.resolve(&name)?)?)
        })
        .await
    }

    /// The files below a directory of an image, or of one of its layers; whether there are more.
    pub async fn image_tree(
        self: &Arc<Self>,
        name: &str,
        layer: Option<usize>,
        directory: &str,
        deep: bool,
        limit: usize,
    ) -> Result<(Vec<Entry>, bool), Error> {
        let engine = Arc::clone(self);
        let (name, directory) = (name.to_owned(), directory.to_owned());
        blocking::run(move || {
            let store = engine.store()?;
            let image = store.resolve(&name)?;
            Ok(store.tree(&image, layer, &directory, deep, limit)?)
        })
        .await
    }

    /// A file of an image, or of one of its layers.
    pub async fn image_file(
        self: &Arc<Self>,
        name: &str,
        layer: Option<usize>,
        path: &str,
    ) -> Result<FileContent, Error> {
        let engine = Arc::clone(self);
        let (name, path) = (name.to_owned(), path.to_owned());
        blocking::run(move || {
            let store = engine.store()?;
            let image = store.resolve(&name)?;
            Ok(store.open_file(&image, layer, &path)?)
        })
        .await
    }

    /// What an image carries for nothing.
    pub async fn image_waste(self: &Arc<Self>, name: &str) -> Result<Waste, Error> {
        let engine = Arc::clone(self);
        let name = name.to_owned();
        blocking::run(move || {
            let store = engine.store()?;
            Ok(store.waste(&store.resolve(&name)?)?)
        })
        .await
    }

    /// What is different between two images.
    pub async fn image_changes(
        self: &Arc<Self>,
        before: &str,
        after: &str,
    ) -> Result<Changes, Error> {
        let engine = Arc::clone(self);
        let (before, after) = (before.to_owned(), after.to_owned());
        blocking::run(move || {
            let store = engine.store()?;
            let (before, after) = (store.resolve(&before)?, store.resolve(&after)?);
            Ok(store.changes(&before, &after)?)
        })
        .await
    }

    /// What all images take.
    pub fn image_usage(&self) -> Result<Usage, Error> {
        Ok(self.store()?.usage())
    }

    /// Checks the image store; with `deep` every byte of it.
    pub async fn check_images(self: &Arc<Self>, deep: bool) -> Result<StoreReport, Error> {
        let engine = Arc::clone(self);
        blocking::run(move || Ok(engine.store()?.check(deep)?)).await
    }
}
