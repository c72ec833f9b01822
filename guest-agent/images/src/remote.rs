//! What a registry says about an image, without pulling it, and new indexes over images there.

mod index;

use bytes::Bytes;

use crate::manifest::{Manifest, media_type};
use crate::registry::{Fetched, Registry};
use crate::{Access, Digest, Error, Platform, Reference, Result};

pub use index::{Source, put_index};

const MAX_CONFIG: usize = 8 << 20;

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteImage {
    /// What kind of document the registry has.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
    /// What it is for, in the document's order.
    pub platforms: Vec<Platform>,
    /// The document, as the registry has it.
    pub document: Bytes,
}

/// Asks a registry, or its mirrors, about an image.
pub async fn look_up(reference: &Reference, access: &Access) -> Result<RemoteImage> {
    let (registry, fetched) = find(reference, access).await?;
    describe(&registry, fetched).await
}

/// The first place that has an image, and its document there.
async fn find(reference: &Reference, access: &Access) -> Result<(Registry, Fetched)> {
    let asked = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    let mut last = Error::Interrupted;
    let mut sources = Registry::sources(reference, access)?;
    while let Some(contact) = sources.next().await {
        let mut registry = match contact {
            Ok(registry) => registry,
            Err(error) => {
                last = error;
                continue;
            }
        };
        registry.plain_words();
        match registry.manifest(&asked).await {
            Ok(fetched) => return Ok((registry, fetched)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn describe(registry: &Registry, fetched: Fetched) -> Result<RemoteImage> {
    let platforms = match Manifest::parse(&fetched.bytes)? {
        Manifest::Index(entries) => entries
            .iter()
            .filter_map(|entry| entry.platform.as_ref())
            .map(|platform| Platform {
                os: platform.os.clone(),
                architecture: platform.architecture.clone(),
                variant: platform.variant.clone(),
            })
            .collect(),
        Manifest::Image { config, .. } => platform_of(registry, &config.digest)
            .await?
            .into_iter()
            .collect(),
    };
    Ok(RemoteImage {
        media_type: media_type(&fetched.bytes).unwrap_or(fetched.media_type),
        digest: fetched.digest,
        size: fetched.bytes.len() as u64,
        platforms,
        document: fetched.bytes,
    })
}

/// What an image's configuration says that it is for.
async fn platform_of(registry: &Registry, config: &Digest) -> Result<Option<Platform>> {
    let document = registry.small_blob(config, MAX_CONFIG).await?;
    Ok(serde_json::from_slice(&document).ok())
}
