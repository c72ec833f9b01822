//! The format of `docker save`: `manifest.json` names each image's configuration, layers and tags.

use serde::Deserialize;

use super::Planned;
use super::spool::Spool;
use crate::{Digest, Error, Reference, Result};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Reads `manifest.json` and finds what it names.
pub(super) fn plan(spool: &Spool) -> Result<Vec<Planned>> {
    let document = spool.get("manifest.json")?.document()?;
    let items: Vec<Item> = serde_json::from_slice(&document)
        .map_err(|error| Error::invalid(format!("invalid archive: manifest.json: {error}")))?;
    items
        .into_iter()
        .map(|item| plan_one(spool, item))
        .collect()
}

fn plan_one(spool: &Spool, item: Item) -> Result<Planned> {
    let config = spool.get(&item.config)?;
    if let Some(promised) = promised_digest(&item.config)
        && promised != config.digest
    {
        return Err(Error::invalid(format!(
            "the archive is damaged: the content of {} has the digest {}",
            item.config, config.digest
        )));
    }
    let layers = item.layers.unwrap_or_default();
    Ok(Planned {
        config: config.document()?,
        layers: layers
            .iter()
            .map(|name| spool.get(name).cloned())
            .collect::<Result<_>>()?,
        names: item
            .repo_tags
            .unwrap_or_default()
            .iter()
            .map(|tag| Reference::parse(tag))
            .collect::<Result<_>>()?,
    })
}

/// The digest in `<hex>.json` or `blobs/sha256/<hex>`.
fn promised_digest(name: &str) -> Option<Digest> {
    let file = name.rsplit('/').next()?;
    Digest::from_hex(file.strip_suffix(".json").unwrap_or(file))
}
