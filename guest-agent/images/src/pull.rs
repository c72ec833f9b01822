//! `docker pull`: manifest, configuration, then three layers at a time, each downloaded, verified
//! and unpacked in one pass; the image appears when all of it is on the disk.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::layer::unpack_layer;
use crate::manifest::{Descriptor, Manifest, choose};
use crate::progress::{Reporter, human_size};
use crate::registry::{Download, Fetched, Registry, download};
use crate::store::versions::{How, Origin};
use crate::store::{Import, Inner, LayerRow, Lower, NewImage};
use crate::stream::{Fed, Tee, feed};
use crate::{
    Digest, Error, ImageConfig, Platform, PullOptions, PullProgress, Pulled, Reference, Result,
};

const PARALLEL: usize = 3;
const MAX_CONFIG: usize = 8 << 20;
const MAX_DEPTH: usize = 3;
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What the registry says about the image.
struct Found {
    config: Bytes,
    id: Digest,
    manifest: Bytes,
    index: Option<Bytes>,
    /// Diff id and blob of each layer, lowest first.
    layers: Vec<(Digest, Descriptor)>,
    /// That it is for another platform than the one asked for.
    mismatch: Option<String>,
}

/// See [`crate::Store::pull`].
pub(crate) async fn pull(
    store: Arc<Inner>,
    reference: &Reference,
    options: PullOptions,
    progress: mpsc::Sender<PullProgress>,
) -> Result<Pulled> {
    let reporter = Reporter::new(progress);
    let asked = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    let (registry, fetched) = fetch(reference, &options, &asked).await?;
    let digest = fetched.digest;
    reporter
        .say(PullProgress::named(
            &asked,
            format!("Pulling from {}", reference.path()),
        ))
        .await;
    let found = describe(&registry, reference, &options, fetched.bytes).await?;

    let name = match reference.digest() {
        Some(_) => reference.with_digest(digest),
        None => reference.clone(),
    };
    let index = store.index.snapshot();
    let known = index.images.get(&found.id).is_some_and(|row| !row.hidden);
    let up_to_date = known && index.names.get(&name.to_string()) == Some(&found.id);
    let import = Arc::new(Import::new(store));
    let brought = bring(&registry, &import, &found.layers, known, &reporter).await;

    let mut names = vec![reference.with_digest(digest)];
    if reference.digest().is_none() {
        names.push(name.clone());
    }
    let blobs = found.layers.iter().map(|(_, blob)| blob.digest);
    let image = NewImage {
        config: found.config.to_vec(),
        names,
        manifest: Some(found.manifest),
        index: found.index,
        digest: Some(digest),
        found: Some((blobs.collect(), reference.name())),
        ..NewImage::default()
    };
    let origin = Origin::new(How::Pull, &options.by);
    // Committing waits for the disk, and so does cleaning up after a failure.
    let saved = tokio::task::spawn_blocking(move || {
        brought.and_then(|saved| import.commit(vec![image], &origin).map(|()| saved))
    })
    .await
    .map_err(|_| Error::Interrupted)??;

    let familiar = name.familiar();
    if saved > 0 {
        let line = format!("Saved {}: those layers are here already", human_size(saved));
        reporter.say(PullProgress::whole(line)).await;
    }
    reporter
        .say(PullProgress::whole(format!("Digest: {digest}")))
        .await;
    let status = if up_to_date {
        "Image is up to date"
    } else {
        "Downloaded newer image"
    };
    reporter
        .say(PullProgress::whole(format!(
            "Status: {status} for {familiar}"
        )))
        .await;
    if let Some(mismatch) = found.mismatch {
        let line = format!("WARNING: {mismatch}");
        reporter.say(PullProgress::whole(line)).await;
    }
    Ok(Pulled {
        id: found.id,
        reference: familiar,
        digest,
        downloaded: !up_to_date,
    })
}

/// The manifest, from the first of the registry's mirrors and itself that has it.
async fn fetch(
    reference: &Reference,
    options: &PullOptions,
    asked: &str,
) -> Result<(Registry, Fetched)> {
    let mut last = Error::Interrupted;
    let mut sources = Registry::sources(reference, &options.access)?;
    while let Some(contact) = sources.next().await {
        let fetched = match contact {
            Ok(registry) => registry
                .manifest(asked)
                .await
                .map(|found| (registry, found)),
            Err(error) => Err(error),
        };
        match fetched {
            Ok(found) => return Ok(found),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Sees to it that every layer is here and stays until the import ends. Returns the bytes that did
/// not have to travel for an image that is new.
async fn bring(
    registry: &Registry,
    import: &Arc<Import>,
    layers: &[(Digest, Descriptor)],
    known: bool,
    reporter: &Reporter,
) -> Result<u64> {
    if known {
        // Nothing to tell then; held all the same, so that a removal meanwhile takes none away.
        let mut complete = true;
        for (diff_id, _) in layers {
            complete &= import.hold(diff_id);
        }
        if complete {
            return Ok(0);
        }
    }
    take_layers(registry, import, layers, reporter).await
}

/// Follows indexes to the image for the wanted platform and reads its configuration.
async fn describe(
    registry: &Registry,
    reference: &Reference,
    options: &PullOptions,
    mut bytes: Bytes,
) -> Result<Found> {
    let wanted = options.platform.clone().unwrap_or_else(Platform::host);
    let mut depth = 0;
    let mut index = None;
    let (config, layers) = loop {
        match Manifest::parse(&bytes)? {
            Manifest::Image { config, layers } => break (config, layers),
            Manifest::Index(_) if depth == MAX_DEPTH => {
                return Err(Error::invalid(
                    "invalid image index: indexes nested too deeply",
                ));
            }
            Manifest::Index(entries) => {
                let chosen = choose(&entries, &wanted).ok_or_else(|| {
                    Error::NotFound(format!(
                        "no matching manifest for {wanted} in the manifest list entries"
                    ))
                })?;
                let next = registry.manifest(&chosen.digest.to_string()).await?;
                index.get_or_insert(std::mem::replace(&mut bytes, next.bytes));
                depth += 1;
            }
        }
    };
    let document = registry.small_blob(&config.digest, MAX_CONFIG).await?;
    let parsed = ImageConfig::parse(&document)?;
    let platform = parsed.platform();
    let mut mismatch = None;
    if options.platform.is_some() && wanted.rank(&platform).is_none() {
        let message = format!(
            "image with reference {} was found but its platform ({platform}) does not match the specified platform ({wanted})",
            reference.familiar()
        );
        // An image of its own, without an index, is all that there is: Docker has always taken it.
        if platform.os != wanted.os {
            return Err(Error::NotFound(message));
        }
        mismatch = Some(message);
    }
    let diff_ids = parsed.diff_ids()?;
    if diff_ids.len() != layers.len() {
        return Err(Error::invalid(format!(
            "invalid image: its config lists {} layers, its manifest {}",
            diff_ids.len(),
            layers.len()
        )));
    }
    let layers = diff_ids.into_iter().zip(layers).collect();
    Ok(Found {
        config: document,
        id: config.digest,
        manifest: bytes,
        index,
        layers,
        mismatch,
    })
}

/// Brings every layer that is not here yet. Returns only when no thread works on them any more.
async fn take_layers(
    registry: &Registry,
    import: &Arc<Import>,
    layers: &[(Digest, Descriptor)],
    reporter: &Reporter,
) -> Result<u64> {
    let mut missing = Vec::new();
    let mut seen = HashSet::new();
    let mut saved = 0;
    for (place, (diff_id, blob)) in layers.iter().enumerate() {
        let id = blob.digest.short();
        if !seen.insert(diff_id) {
            continue;
        }
        let status = if import.hold(diff_id) {
            saved += blob.size;
            "Already exists"
        } else {
            missing.push(Layer {
                diff_id: *diff_id,
                blob: blob.clone(),
                id: id.clone(),
                below: layers[..place].iter().map(|(id, _)| *id).collect(),
            });
            "Pulling fs layer"
        };
        reporter.say(PullProgress::layer(&id, status)).await;
    }
    check_space(import, &missing)?;
    for layer in missing.iter().skip(PARALLEL) {
        reporter
            .say(PullProgress::layer(&layer.id, "Waiting"))
            .await;
    }
    let slots = Semaphore::new(PARALLEL);
    let (working, mut finished) = mpsc::channel::<()>(1);
    let mut below = None;
    let pulls = missing.iter().map(|layer| {
        let (done, done_here) = oneshot::channel::<()>();
        let below = below.replace(done_here);
        let working = working.clone();
        let slots = &slots;
        async move {
            let brought = layer
                .take(registry, import, reporter, slots, working)
                .await?;
            // Completion is told from the bottom up, by closing the channel. Nothing is held
            // while waiting: another pull may need this layer for the one below.
            if let Some(below) = below {
                let _ = below.await;
            }
            if brought {
                reporter
                    .say(PullProgress::layer(&layer.id, "Pull complete"))
                    .await;
            }
            drop(done);
            Ok::<_, Error>(())
        }
    });
    let pulls: Vec<_> = pulls.collect();
    let outcome = try_join_all(pulls).await;
    // The first failure dropped the others' feeders; their threads see that and clean up.
    drop(working);
    if outcome.is_err() {
        import.give_up();
    }
    finished.recv().await;
    outcome.map(|_| saved)
}

/// Better said before a long download than after.
fn check_space(import: &Import, missing: &[Layer]) -> Result<()> {
    let needed: u64 = missing.iter().map(|layer| layer.blob.size).sum();
    match import.store().files.free() {
        Some(free) if free < needed => Err(Error::NoSpace(format!(
            "the image needs at least {} and {} are free on the data disk; remove images or containers you no longer need, or enlarge the disk",
            human_size(needed),
            human_size(free)
        ))),
        _ => Ok(()),
    }
}

/// A layer that is to be brought.
struct Layer {
    diff_id: Digest,
    blob: Descriptor,
    id: String,
    /// The layers below, lowest first.
    below: Vec<Digest>,
}

impl Layer {
    /// Downloads and unpacks the layer; false when another pull brought it meanwhile.
    async fn take(
        &self,
        registry: &Registry,
        import: &Arc<Import>,
        reporter: &Reporter,
        slots: &Semaphore,
        working: mpsc::Sender<()>,
    ) -> Result<bool> {
        // Another pull may be bringing the same layer.
        let _turn = import.store().layer_turn(&self.diff_id).await;
        if import.hold(&self.diff_id) {
            reporter
                .say(PullProgress::layer(&self.id, "Already exists"))
                .await;
            return Ok(false);
        }
        let _slot = slots.acquire().await.map_err(|_| Error::Interrupted)?;
        let (feeder, fed) = feed();
        let consumed = Arc::new(AtomicU64::new(0));
        let work = Work {
            import: import.clone(),
            diff_id: self.diff_id,
            blob: self.blob.digest,
            below: self.below.clone(),
            consumed: consumed.clone(),
        };
        let mut unpacking = tokio::task::spawn_blocking(move || {
            let done = work.run(fed);
            drop(work);
            drop(working);
            done
        });
        let say = |status: &'static str| reporter.say(PullProgress::layer(&self.id, status));
        let request = Download {
            registry,
            blob: &self.blob,
            id: &self.id,
            reporter,
        };
        let total = self.blob.size;
        if download(request, feeder).await? {
            say("Verifying Checksum").await;
            say("Download complete").await;
        }
        let mut ticks = tokio::time::interval(REPORT_EVERY);
        let done = loop {
            tokio::select! {
                done = &mut unpacking => break done,
                _ = ticks.tick() => {
                    let read = consumed.load(Ordering::Relaxed);
                    reporter.measure(PullProgress::measured(&self.id, "Extracting", read, total));
                }
            }
        };
        done.map_err(|_| Error::Interrupted)??;
        reporter
            .say(PullProgress::measured(&self.id, "Extracting", total, total))
            .await;
        Ok(true)
    }
}

/// The blocking half of one layer.
struct Work {
    import: Arc<Import>,
    diff_id: Digest,
    blob: Digest,
    below: Vec<Digest>,
    consumed: Arc<AtomicU64>,
}

impl Work {
    fn run(&self, fed: Fed) -> Result<()> {
        let stage = self.import.store().files.stage()?;
        let path = stage.path().join("blob");
        let mut source = Tee::copying(
            Counted {
                source: fed,
                count: &self.consumed,
            },
            &path,
        )?;
        let below = Lower {
            import: &self.import,
            layers: &self.below,
        };
        let unpacked =
            unpack_layer(&mut source, &self.diff_id, &stage, &below).map(|(unpacked, _)| unpacked);
        if let Err(Error::Invalid(_)) = &unpacked {
            // A damaged blob fails in many ways; its digest says it best.
            std::io::copy(&mut source, &mut std::io::sink()).map_err(crate::stream::read_error)?;
        }
        let (_, digest, size) = source.finish();
        match unpacked {
            Ok(_) | Err(Error::Invalid(_)) if digest != self.blob => Err(Error::invalid(format!(
                "filesystem layer verification failed for digest {}: the registry sent content with digest {digest}",
                self.blob
            ))),
            Ok(unpacked) => {
                let row = LayerRow {
                    size: unpacked.size,
                    blob: digest,
                    blob_size: size,
                    tar_size: unpacked.tar_size,
                    local: false,
                    found_in: Vec::new(),
                    borrowed: unpacked.borrowed,
                };
                self.import
                    .publish(&self.diff_id, &unpacked.tree, &path, &row)
            }
            Err(error) => Err(error),
        }
    }
}

/// Counts what is read, for the progress of another task.
struct Counted<'a, R> {
    source: R,
    count: &'a AtomicU64,
}

impl<R: std::io::Read> std::io::Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
