//! What a registry says about an image, without pulling it.

use crate::manifest::{Manifest, media_type};
use crate::registry::{Fetched, Registry};
use crate::{Access, Digest, Error, Platform, Reference, Result};

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
}

/// Asks a registry, or its mirrors, about an image.
pub async fn look_up(reference: &Reference, access: &Access) -> Result<RemoteImage> {
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
            Ok(fetched) => return describe(&registry, fetched).await,
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
        Manifest::Image { config, .. } => {
            let document = registry.small_blob(&config.digest, MAX_CONFIG).await?;
            let platform: Option<Platform> = serde_json::from_slice(&document).ok();
            platform.into_iter().collect()
        }
    };
    Ok(RemoteImage {
        media_type: media_type(&fetched.bytes).unwrap_or(fetched.media_type),
        digest: fetched.digest,
        size: fetched.bytes.len() as u64,
        platforms,
    })
}
