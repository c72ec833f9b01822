//! The OCI image layout: `index.json` points to manifests, everything else is a blob by digest.

use super::Planned;
use super::spool::Spool;
use crate::manifest::{Descriptor, Manifest, choose};
use crate::{Error, Platform, Reference, Result};

/// Indexes in indexes deeper than this are not anybody's image.
const MAX_DEPTH: usize = 3;

/// Reads `index.json` and finds what it names. Of several platforms this machine's is taken.
pub(super) fn plan(spool: &Spool) -> Result<Vec<Planned>> {
    let document = spool.get("index.json")?.document()?;
    let Manifest::Index(entries) = Manifest::parse(&document)? else {
        return Err(Error::invalid(
            "invalid archive: index.json is not an index",
        ));
    };
    let platform = Platform::host();
    let runs_here = |entry: &&Descriptor| choose([*entry], &platform).is_some();
    // One entry a platform, or one an image: entries for other machines only count when there is
    // nothing else, and then the choice below says what is wrong.
    let mut chosen: Vec<&Descriptor> = entries.iter().filter(runs_here).collect();
    if chosen.is_empty() {
        chosen = entries.iter().collect();
    }
    chosen
        .into_iter()
        .map(|entry| {
            let mut planned = plan_one(spool, entry, &platform, MAX_DEPTH)?;
            planned.names = name(entry)?.into_iter().collect();
            Ok(planned)
        })
        .collect()
}

fn plan_one(
    spool: &Spool,
    entry: &Descriptor,
    platform: &Platform,
    depth: usize,
) -> Result<Planned> {
    match Manifest::parse(&spool.blob(&entry.digest)?.document()?)? {
        Manifest::Image { config, layers } => Ok(Planned {
            config: spool.blob(&config.digest)?.document()?,
            layers: layers
                .iter()
                .map(|layer| spool.blob(&layer.digest).cloned())
                .collect::<Result<_>>()?,
            names: Vec::new(),
        }),
        Manifest::Index(_) if depth == 0 => {
            Err(Error::invalid("invalid archive: indexes nested too deeply"))
        }
        Manifest::Index(entries) => {
            // An archive of one platform may keep the whole index without the other blobs.
            let present = entries
                .iter()
                .filter(|entry| spool.blob(&entry.digest).is_ok());
            let chosen = choose(present, platform).ok_or_else(|| {
                Error::invalid(format!("the archive holds no image for {platform}"))
            })?;
            plan_one(spool, chosen, platform, depth - 1)
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
