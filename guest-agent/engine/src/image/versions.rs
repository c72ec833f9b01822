//! What names have stood for, and going back.

use std::sync::Arc;

use images::{Reference, Retention, VersionState};

use crate::{Engine, Error, blocking};

impl Engine {
    /// A name's history, the latest first.
    pub async fn image_versions(
        self: &Arc<Self>,
        reference: &Reference,
    ) -> Result<Vec<VersionState>, Error> {
        let engine = Arc::clone(self);
        let reference = reference.clone();
        blocking::run(move || Ok(engine.store()?.versions(&reference)?)).await
    }

    /// Every name that has a history.
    pub fn versioned_images(&self) -> Result<Vec<String>, Error> {
        Ok(self.store()?.versioned_names())
    }

    /// Gives a name back to an image that it stood for; the image's id.
    pub async fn roll_back_image(
        self: &Arc<Self>,
        reference: &Reference,
        target: &str,
        by: &str,
    ) -> Result<String, Error> {
        let engine = Arc::clone(self);
        let (name, target, by) = (reference.clone(), target.to_owned(), by.to_owned());
        let id = blocking::run(move || Ok(engine.store()?.rollback(&name, &target, &by)?)).await?;
        let id = id.to_string();
        self.image_event("tag", &id, &reference.familiar());
        Ok(id)
    }

    /// How many earlier images pruning leaves.
    pub fn image_retention(&self) -> Result<Retention, Error> {
        Ok(self.store()?.retention())
    }

    /// Sets how many earlier images pruning leaves.
    pub async fn set_image_retention(self: &Arc<Self>, retention: Retention) -> Result<(), Error> {
        let engine = Arc::clone(self);
        blocking::run(move || Ok(engine.store()?.set_retention(retention)?)).await
    }
}
