//! The format of `docker save`: `manifest.json` names each image's configuration, layers and tags.

use serde::Deserialize;

use super::Planned;
use super::files::Files;
use crate::{Digest, Error, Reference, Result};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Reads `manifest.json` and finds what it names.
pub(super) fn plan(files: &Files) -> Result<Vec<Planned>> {
    let document = files.get("manifest.json")?.document()?;
    let items: Vec<Item> = serde_json::from_slice(document)
        .map_err(|error| Error::invalid(format!("invalid archive: manifest.json: {error}")))?;
    items
        .into_iter()
        .map(|item| plan_one(files, item))
        .collect()
}

fn plan_one(files: &Files, item: Item) -> Result<Planned> {
    let config = files.get(&item.config)?;
    if let Some(promised) = promised_digest(&item.config)
        && promised != config.digest
    {
        return Err(Error::invalid(format!(
            "the archive is damaged: the content of {} has the digest {}",
            item.config, config.digest
        )));
    }
    let layers = item.layers.unwrap_or_default();
    for layer in &layers {
        files.get(layer)?;
    }
    Ok(Planned {
        config: config.document()?.to_vec(),
        layers,
        names: item
            .repo_tags
            .unwrap_or_default()
            .iter()
            .map(|tag| Reference::parse(tag))
            .collect::<Result<_>>()?,
        manifest: None,
        index: None,
    })
}

/// The digest in `<hex>.json` or `blobs/sha256/<hex>`.
fn promised_digest(name: &str) -> Option<Digest> {
    let file = name.rsplit('/').next()?;
    Digest::from_hex(file.strip_suffix(".json").unwrap_or(file))
}
