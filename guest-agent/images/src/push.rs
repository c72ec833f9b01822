//! `docker push`: the blobs that the registry lacks, then the configuration and the manifest.

mod layer;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

use self::layer::{Layer, Outcome};
use crate::describe::{self, Described, Form};
use crate::manifest::{self, Manifest};
use crate::progress::{Reporter, human_size};
use crate::registry::Registry;
use crate::store::{Change, Import, Inner, LayerRow};
use crate::{Digest, Error, ImageConfig, Platform, PullProgress, PushOptions, Reference, Result};

/// Layers on their way at the same time.
const PARALLEL: usize = 3;
/// So many states are told at once; the layers behind them wait.
const FIRST: usize = 5;

/// See [`crate::Store::push`].
pub(crate) async fn push(
    store: Arc<Inner>,
    reference: &Reference,
    options: PushOptions,
    progress: mpsc::Sender<PullProgress>,
) -> Result<()> {
    let reporter = Reporter::new(progress);
    let heading = format!("The push refers to repository [{}]", reference.name());
    reporter.say(PullProgress::whole(heading)).await;
    let tags = tags(&store, reference)?;
    let mut others = BTreeSet::new();
    for (_, id) in &tags {
        others.extend(mount_sources(&store, id, reference));
    }
    let others: Vec<String> = others.into_iter().collect();
    let registry = Registry::for_push(reference, &options.access, &others).await?;
    let mut job = Push {
        import: Arc::new(Import::new(store)),
        registry,
        reporter,
        platform: options.platform,
        done: HashMap::new(),
        sent: 0,
        saved: 0,
    };
    let mut tags = tags.into_iter().peekable();
    while let Some((name, id)) = tags.next() {
        let pushed = job.tag(&name, &id).await?;
        if tags.peek().is_none() {
            job.tell_saved().await;
        }
        let Pushed { tag, digest, size } = &pushed;
        let line = format!("{tag}: digest: {digest} size: {size}");
        job.reporter.say(PullProgress::whole(line)).await;
        let aux = json!({ "Tag": tag, "Digest": digest, "Size": size });
        job.reporter.say(PullProgress::aux(aux)).await;
    }
    Ok(())
}

/// The tags to push, each with its image.
fn tags(store: &Inner, reference: &Reference) -> Result<Vec<(Reference, Digest)>> {
    if reference.digest().is_some() {
        return Err(Error::invalid("cannot push a digest reference"));
    }
    let index = store.index.snapshot();
    let repository = reference.name();
    let all: Vec<(Reference, Digest)> = index
        .names
        .range(repository.clone()..)
        .take_while(|(name, _)| name.starts_with(&repository))
        .filter_map(|(name, id)| Some((Reference::parse(name).ok()?, *id)))
        .filter(|(name, _)| name.name() == repository)
        .collect();
    if all.is_empty() {
        return Err(Error::NotFound(format!(
            "An image does not exist locally with the tag: {}",
            reference.familiar_name()
        )));
    }
    let wanted: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| name.tag().is_some())
        .filter(|(name, _)| reference.tag().is_none() || name.tag() == reference.tag())
        .collect();
    if wanted.is_empty() {
        return Err(Error::NotFound(match reference.tag() {
            Some(_) => format!("tag does not exist: {}", reference.familiar()),
            None => format!("no tags to push for {}", reference.familiar_name()),
        }));
    }
    Ok(wanted)
}

/// Repositories of the same registry that may have an image's layers.
fn mount_sources(store: &Inner, id: &Digest, reference: &Reference) -> Vec<String> {
    let index = store.index.snapshot();
    let Some(row) = index.images.get(id) else {
        return Vec::new();
    };
    let rows = row
        .layers
        .iter()
        .filter_map(|layer| index.layers.get(layer));
    rows.flat_map(|row| sources(row, reference)).collect()
}

/// Paths of repositories of the same registry that have a layer's blob.
fn sources(row: &LayerRow, reference: &Reference) -> Vec<String> {
    let prefix = format!("{}/", reference.domain());
    let paths = row.found_in.iter().rev();
    paths
        .filter_map(|name| name.strip_prefix(&prefix))
        .filter(|path| *path != reference.path())
        .map(str::to_owned)
        .collect()
}

/// One push.
struct Push {
    import: Arc<Import>,
    registry: Registry,
    reporter: Reporter,
    platform: Option<Platform>,
    /// Layers that the repository has by now.
    done: HashMap<Digest, Described>,
    /// Bytes of layers that travelled.
    sent: u64,
    /// Bytes of layers that the registry had before.
    saved: u64,
}

/// The manifest that a tag leads to now.
struct Pushed {
    tag: String,
    digest: Digest,
    size: usize,
}

impl Push {
    async fn tag(&mut self, name: &Reference, id: &Digest) -> Result<Pushed> {
        let store = self.import.store();
        let config = store
            .index
            .config(id)?
            .ok_or_else(|| Error::no_such_image(&name.familiar()))?;
        let parsed = ImageConfig::parse(&config)?;
        if let Some(wanted) = &self.platform
            && wanted.rank(&parsed.platform()).is_none()
        {
            return Err(Error::NotFound(format!(
                "image with reference {} was found but its platform ({}) does not match the specified platform ({wanted})",
                name.familiar(),
                parsed.platform()
            )));
        }
        let diff_ids = parsed.diff_ids()?;
        let kept = store.index.snapshot();
        let kept = kept.images.get(id).and_then(|row| row.manifest);
        self.layers(name, &diff_ids).await?;
        let described: Vec<Described> = diff_ids
            .iter()
            .filter_map(|diff_id| self.done.get(diff_id).copied())
            .collect();
        self.put_config(id, &config).await?;
        let manifest = match self.kept_manifest(kept, id, &described)? {
            Some(manifest) => manifest,
            None => describe::for_push(&config, &described)?,
        };
        let digest = Digest::of(&manifest);
        let media_type = manifest::media_type(&manifest).unwrap_or_default();
        let tag = name.tag().unwrap_or("latest");
        self.registry
            .put_manifest(tag, &media_type, manifest.clone())
            .await?;
        self.remember(name, id, digest, &diff_ids)?;
        Ok(Pushed {
            tag: tag.to_owned(),
            digest,
            size: manifest.len(),
        })
    }

    /// Sends what is missing of the layers.
    async fn layers(&mut self, name: &Reference, diff_ids: &[Digest]) -> Result<()> {
        // The topmost first, each once, as Docker tells them.
        let mut seen = BTreeSet::new();
        let wanted: Vec<&Digest> = diff_ids
            .iter()
            .rev()
            .filter(|diff_id| seen.insert(**diff_id))
            .collect();
        for diff_id in &wanted {
            let line = PullProgress::layer(&diff_id.short(), "Preparing");
            self.reporter.say(line).await;
        }
        for diff_id in wanted.iter().skip(FIRST) {
            let line = PullProgress::layer(&diff_id.short(), "Waiting");
            self.reporter.say(line).await;
        }
        let slots = Semaphore::new(PARALLEL);
        let this = &*self;
        let sends = wanted.iter().map(|diff_id| {
            let layer = Layer {
                diff_id: **diff_id,
                import: &this.import,
                registry: &this.registry,
                reporter: &this.reporter,
                repository: name,
            };
            let known = this.done.get(*diff_id).copied();
            let slots = &slots;
            async move {
                let _slot = slots.acquire().await.map_err(|_| Error::Interrupted)?;
                layer.bring(known).await
            }
        });
        let sends: Vec<_> = sends.collect();
        let outcomes = try_join_all(sends).await?;
        for (diff_id, Outcome { described, sent }) in wanted.iter().zip(outcomes) {
            // What went with an earlier tag of this push counts once.
            if self.done.insert(**diff_id, described).is_none() {
                let sum = if sent {
                    &mut self.sent
                } else {
                    &mut self.saved
                };
                *sum += described.size;
            }
        }
        Ok(())
    }

    async fn put_config(&self, id: &Digest, config: &[u8]) -> Result<()> {
        if self.registry.has_blob(id).await? {
            return Ok(());
        }
        let bytes = Bytes::copy_from_slice(config);
        self.registry.put_small(id, bytes).await
    }

    /// The manifest that the image came with, when it still says what is so: then the image keeps
    /// its digest.
    fn kept_manifest(
        &self,
        kept: Option<Digest>,
        id: &Digest,
        described: &[Described],
    ) -> Result<Option<Bytes>> {
        let Some(digest) = kept else {
            return Ok(None);
        };
        let Some(bytes) = self.import.store().index.document(&digest)? else {
            return Ok(None);
        };
        let Manifest::Image { config, layers } = Manifest::parse(&bytes)? else {
            return Ok(None);
        };
        let same = config.digest == *id
            && layers.len() == described.len()
            && layers
                .iter()
                .zip(described)
                .all(|(layer, described)| layer.digest == described.digest);
        Ok(same.then(|| bytes.into()))
    }

    /// Keeps the digest as a name of the image, and where its layers are now.
    fn remember(
        &self,
        name: &Reference,
        id: &Digest,
        digest: Digest,
        diff_ids: &[Digest],
    ) -> Result<()> {
        let store = self.import.store();
        let _writing = store.writing();
        let index = store.index.snapshot();
        let mut change = Change {
            put_names: vec![(name.with_digest(digest), *id)],
            ..Change::default()
        };
        for diff_id in diff_ids {
            if let Some(row) = index.layers.get(diff_id) {
                let mut row = row.clone();
                if row.found(&name.name()) {
                    change.put_layers.push((*diff_id, row));
                }
            }
        }
        store.index.apply(change)
    }

    /// Docker has no such line. Its own last two stay the last: scripts read the digest there.
    async fn tell_saved(&self) {
        if self.saved > 0 {
            let line = format!(
                "Saved {}: the registry has it already; sent {}",
                human_size(self.saved),
                human_size(self.sent)
            );
            self.reporter.say(PullProgress::whole(line)).await;
        }
    }
}

/// Whether a blob can be sent as it is kept.
fn is_interchange(described: &Described) -> bool {
    described.form != Form::Plain
}
