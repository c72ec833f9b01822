//! The OCI image layout: `index.json` points to manifests, everything else is a blob by digest.

use bytes::Bytes;

use super::files::{Files, blob_name};
use super::{Planned, no_image_for};
use crate::manifest::{Descriptor, Manifest, choose};
use crate::{Error, Platform, Reference, Result};

/// Indexes in indexes deeper than this are not anybody's image.
const MAX_DEPTH: usize = 3;

/// Reads `index.json` and finds what it names. Of several platforms the wanted one is taken, or
/// this machine's.
pub(super) fn plan(files: &Files, wanted: Option<&Platform>) -> Result<Vec<Planned>> {
    let document = files.get("index.json")?.document()?;
    let Manifest::Index(entries) = Manifest::parse(document)? else {
        return Err(Error::invalid(
            "invalid archive: index.json is not an index",
        ));
    };
    let platform = wanted.cloned().unwrap_or_else(Platform::host);
    let fits = |entry: &&Descriptor| choose([*entry], &platform).is_some();
    // One entry a platform, or one an image: entries for other machines only count when there is
    // nothing else, and then the choice below says what is wrong.
    let mut chosen: Vec<&Descriptor> = entries.iter().filter(fits).collect();
    if chosen.is_empty() && wanted.is_some() {
        return Err(no_image_for(&platform));
    }
    if chosen.is_empty() {
        chosen = entries.iter().collect();
    }
    let mut planned: Vec<Planned> = Vec::new();
    for entry in chosen {
        let mut image = plan_one(files, entry, &platform, MAX_DEPTH)?;
        let names = name(entry)?;
        // `docker save` writes an entry a name.
        let same = planned
            .iter_mut()
            .find(|known| known.config == image.config && known.layers == image.layers);
        match same {
            Some(known) => known.names.extend(names),
            None => {
                image.names.extend(names);
                planned.push(image);
            }
        }
    }
    Ok(planned)
}

fn plan_one(
    files: &Files,
    entry: &Descriptor,
    platform: &Platform,
    depth: usize,
) -> Result<Planned> {
    let document = files.blob(&entry.digest)?.document()?;
    match Manifest::parse(document)? {
        Manifest::Image { config, layers } => {
            for layer in &layers {
                files.blob(&layer.digest)?;
            }
            let names = layers.iter().map(|layer| blob_name(&layer.digest));
            Ok(Planned {
                config: files.blob(&config.digest)?.document()?.to_vec(),
                layers: names.collect(),
                manifest: Some(Bytes::copy_from_slice(document)),
                ..Planned::default()
            })
        }
        Manifest::Index(_) if depth == 0 => {
            Err(Error::invalid("invalid archive: indexes nested too deeply"))
        }
        Manifest::Index(entries) => {
            // An archive of one platform may keep the whole index without the other blobs.
            let present = entries
                .iter()
                .filter(|entry| files.blob(&entry.digest).is_ok());
            let chosen = choose(present, platform).ok_or_else(|| no_image_for(platform))?;
            let planned = plan_one(files, chosen, platform, depth - 1)?;
            Ok(Planned {
                index: Some(Bytes::copy_from_slice(document)),
                ..planned
            })
        }
    }
}

/// containerd's annotation holds a whole name; OCI's often only a tag, which names nothing.
fn name(entry: &Descriptor) -> Result<Option<Reference>> {
    if let Some(name) = entry.annotation("io.containerd.image.name") {
        return Reference::parse(name).map(Some);
    }
    match entry.annotation("org.opencontainers.image.ref.name") {
        Some(name) if name.contains([':', '/']) => Reference::parse(name).map(Some),
        _ => Ok(None),
    }
}
