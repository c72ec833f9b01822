//! Images as the engine's clients see them: the store's operations with events and with the
//! containers that use an image.

mod bundled;
mod import;
mod list;
mod look;
mod registries;
mod remove;
mod transfer;
mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use images::{ContainerUse, Digest};

use crate::events::Subject;
use crate::{Engine, Error, blocking};

pub use images::{
    Auth, BuildOrigin, Change, Changes, Entry, FileContent, Finding, How, Image, ImageConfig,
    ImageManifest, LayerInfo, LoadOptions, LoadedImage, Origin, Platform, Proxies, PullProgress,
    Reference, Registries, RemoteImage, Removed, Retention, SearchResult, Source, StoreReport,
    Touch, Usage, Version, VersionState, Waste, WastedFile,
};
pub use import::ImportRequest;
pub use list::{ListRequest, ListedImage};
pub use registries::HostNetwork;
pub use transfer::PullRequest;

impl From<images::Error> for Error {
    fn from(error: images::Error) -> Self {
        let message = error.to_string();
        match error.kind() {
            images::Kind::NotFound => Self::NotFound(message),
            images::Kind::Unauthorized => Self::Unauthorized(message),
            images::Kind::Invalid => Self::Invalid(message),
            images::Kind::Conflict => Self::Conflict(message),
            images::Kind::NoSpace | images::Kind::Network | images::Kind::Internal => {
                Self::System(message)
            }
        }
    }
}

impl Engine {
    /// The image with that name, id or unique id prefix.
    pub async fn find_image(self: &Arc<Self>, name: &str) -> Result<Image, Error> {
        let engine = Arc::clone(self);
        let name = name.to_owned();
        blocking::run(move || Ok(engine.store()?.resolve(&name)?)).await
    }

    /// The same, which must be for a platform.
    pub async fn find_image_for(
        self: &Arc<Self>,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<Image, Error> {
        let image = self.find_image(name).await?;
        let own = image.config.platform();
        match platform {
            Some(wanted) if wanted.rank(&own).is_none() => Err(Error::NotFound(format!(
                "image with reference {name} was found but its platform ({own}) does not match the specified platform ({wanted})"
            ))),
            _ => Ok(image),
        }
    }

    /// An image's manifest.
    pub async fn image_manifest(self: &Arc<Self>, image: &Image) -> Result<ImageManifest, Error> {
        let engine = Arc::clone(self);
        let image = image.clone();
        blocking::run(move || Ok(engine.store()?.manifest(&image)?)).await
    }

    /// Gives an image another name.
    pub async fn tag_image(
        self: &Arc<Self>,
        source: &str,
        repository: &str,
        tag: &str,
        by: &str,
    ) -> Result<(), Error> {
        let engine = Arc::clone(self);
        let (source, repository, tag) = (source.to_owned(), repository.to_owned(), tag.to_owned());
        let origin = Origin::new(How::Tag, by);
        let (id, name) = blocking::run(move || {
            let reference = tag_reference(&repository, &tag)?;
            let store = engine.store()?;
            // Whatever is wrong with the name, dockerd finds no image.
            let image = store
                .resolve(&source)
                .map_err(|error| Error::NotFound(error.to_string()))?;
            store.tag(&image.id, &reference, &origin)?;
            Ok((image.id, reference.familiar()))
        })
        .await?;
        self.image_event("tag", &id.to_string(), &name);
        Ok(())
    }

    /// Which containers use an image, for the store's removals.
    pub(crate) fn image_users(&self) -> impl Fn(&Digest) -> Vec<ContainerUse> + use<> {
        let all: Vec<(Vec<String>, String, bool)> = self
            .all_containers()
            .iter()
            .map(|container| {
                let inner = container.lock();
                let record = &inner.record;
                let mounted = record.mounts.iter().map(|mount| mount.image.clone());
                (
                    mounted.chain([record.image.clone()]).collect(),
                    container.id.clone(),
                    record.state.is_running(),
                )
            })
            .collect();
        move |digest| {
            let id = digest.to_string();
            all.iter()
                .filter(|(images, _, _)| images.contains(&id))
                .map(|(_, container, running)| ContainerUse {
                    container_id: container.clone(),
                    running: *running,
                })
                .collect()
        }
    }

    /// Publishes an event about an image, with its labels if it is there.
    pub(crate) fn image_event(&self, action: &str, id: &str, name: &str) {
        let image = self.store().ok().and_then(|store| store.resolve(id).ok());
        let labels = image.map(|image| image.config.labels());
        self.labelled_image_event(action, id, name, labels.unwrap_or_default());
    }

    /// The same with labels of one that may be gone.
    fn labelled_image_event(
        &self,
        action: &str,
        id: &str,
        name: &str,
        mut attributes: BTreeMap<String, String>,
    ) {
        attributes.insert("name".into(), name.into());
        self.events.publish(Subject::Image, action, id, attributes);
    }
}

/// A name for an image from what clients send in two parts.
fn tag_reference(repository: &str, tag: &str) -> Result<Reference, Error> {
    let bare = Reference::parse_bare(repository)?;
    if bare.digest().is_some() {
        return Err(Error::Invalid("cannot import digest reference".into()));
    }
    if bare.familiar_name() == "sha256" {
        return Err(Error::Invalid(
            "refusing to create an ambiguous tag using digest algorithm as name".into(),
        ));
    }
    Ok(match (tag, bare.tag()) {
        ("", None) => bare.with_tag("latest")?,
        ("", Some(_)) => bare,
        (tag, _) => bare.with_tag(tag)?,
    })
}
