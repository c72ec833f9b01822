//! The format of `docker save`: `manifest.json` names each image's configuration, layers and tags.

use serde::Deserialize;

use super::Planned;
use super::files::Files;
use crate::{Digest, Error, ImageConfig, Reference, Result};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
    parent: Option<String>,
}

/// Reads `manifest.json` and finds what it names.
pub(super) fn plan(files: &Files) -> Result<Vec<Planned>> {
    let document = files.get("manifest.json")?.document()?;
    let items: Vec<Item> = serde_json::from_slice(document)
        .map_err(|error| Error::invalid(format!("invalid archive: manifest.json: {error}")))?;
    let planned = items.into_iter().map(|item| plan_one(files, item));
    let mut planned = planned.collect::<Result<Vec<_>>>()?;
    link_parents(&mut planned)?;
    Ok(planned)
}

/// Keeps the parents that the archive holds, and refuses what can't be one.
fn link_parents(planned: &mut [Planned]) -> Result<()> {
    let ids: Vec<Digest> = planned
        .iter()
        .map(|image| Digest::of(&image.config))
        .collect();
    for place in 0..planned.len() {
        let image = &planned[place];
        let below = |parent: &Digest| ids.iter().position(|id| id == parent && *id != ids[place]);
        let below = image.parent.as_ref().and_then(below);
        if let Some(below) = below
            && !is_parent(&planned[below].config, &image.config)?
        {
            return Err(Error::invalid(format!(
                "image {} is not a valid parent for {}",
                ids[below], ids[place]
            )));
        }
        planned[place].parent = below.map(|below| ids[below]);
    }
    Ok(())
}

/// Docker's rule: the image has one step of history more. Where neither has a history it must have
/// more layers, so that no image is below itself.
fn is_parent(parent: &[u8], image: &[u8]) -> Result<bool> {
    let (parent, image) = (ImageConfig::parse(parent)?, ImageConfig::parse(image)?);
    let (before, after) = (parent.history(), image.history());
    if before.is_empty() && after.is_empty() {
        return Ok(parent.diff_ids()?.len() < image.diff_ids()?.len());
    }
    Ok(after.len() == before.len() + 1 && after.starts_with(&before))
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
        parent: item.parent.and_then(|id| Digest::parse(&id).ok()),
        ..Planned::default()
    })
}

/// The digest in `<hex>.json` or `blobs/sha256/<hex>`.
fn promised_digest(name: &str) -> Option<Digest> {
    let file = name.rsplit('/').next()?;
    Digest::from_hex(file.strip_suffix(".json").unwrap_or(file))
}
