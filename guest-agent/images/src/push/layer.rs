//! One layer on its way to a registry.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{is_interchange, sources};
use crate::describe::{self, Described, Form};
use crate::layer::Hashed;
use crate::progress::Reporter;
use crate::registry::{Registry, Started, Upload};
use crate::store::{Change, Import, LayerRow};
use crate::stream::{Decompressed, read_error};
use crate::{Digest, Error, PullProgress, Reference, Result};

const REPORT_EVERY: Duration = Duration::from_millis(100);
/// Repositories that are asked for a blob.
const MOUNTS: usize = 3;

/// What became of a layer.
pub(super) struct Outcome {
    pub(super) described: Described,
    /// Its bytes travelled.
    pub(super) sent: bool,
}

/// A layer to bring to a repository.
pub(super) struct Layer<'a> {
    pub(super) diff_id: Digest,
    pub(super) import: &'a Arc<Import>,
    pub(super) registry: &'a Registry,
    pub(super) reporter: &'a Reporter,
    pub(super) repository: &'a Reference,
}

impl Layer<'_> {
    /// Sees to it that the repository has the layer.
    pub(super) async fn bring(&self, known: Option<Described>) -> Result<Outcome> {
        if let Some(described) = known {
            return self.there("Layer already exists", described).await;
        }
        // Held, so that a removal meanwhile leaves the blob alone.
        if !self.import.hold(&self.diff_id) {
            return Err(Error::invalid(format!("layer {} is missing", self.diff_id)));
        }
        let (row, described) = self.ready().await?;
        if self.registry.has_blob(&described.digest).await? {
            return self.there("Layer already exists", described).await;
        }
        for source in sources(&row, self.repository).into_iter().take(MOUNTS) {
            if self.registry.mount(&described.digest, &source).await? == Started::Mounted {
                let state = format!("Mounted from {source}");
                return self.there(&state, described).await;
            }
        }
        self.send(described).await?;
        self.say("Pushed").await;
        Ok(Outcome {
            described,
            sent: true,
        })
    }

    async fn there(&self, state: &str, described: Described) -> Result<Outcome> {
        self.say(state).await;
        Ok(Outcome {
            described,
            sent: false,
        })
    }

    async fn say(&self, state: &str) {
        let line = PullProgress::layer(&self.diff_id.short(), state);
        self.reporter.say(line).await;
    }

    async fn send(&self, described: Described) -> Result<()> {
        let path = self.import.store().files.blob(&described.digest);
        let sent = Arc::new(AtomicU64::new(0));
        let upload = Upload {
            digest: &described.digest,
            path: &path,
            size: described.size,
            sent: Arc::clone(&sent),
        };
        let mut sending = std::pin::pin!(self.registry.put_blob(&upload));
        let mut ticks = tokio::time::interval(REPORT_EVERY);
        let id = self.diff_id.short();
        let pushing = |done| PullProgress::measured(&id, "Pushing", done, described.size);
        loop {
            tokio::select! {
                done = &mut sending => {
                    done?;
                    break;
                }
                _ = ticks.tick() => {
                    self.reporter.measure(pushing(sent.load(Ordering::Relaxed)));
                }
            }
        }
        self.reporter.say(pushing(described.size)).await;
        Ok(())
    }

    /// The layer with a blob as registries want it: what is kept here in another form becomes gzip,
    /// once.
    async fn ready(&self) -> Result<(LayerRow, Described)> {
        // Another push may be compressing the same layer.
        let _turn = self.import.store().layer_turn(&self.diff_id).await;
        let row = self.import.row(&self.diff_id)?;
        let described = describe::layer(self.import.store(), &self.diff_id, &row)?;
        if is_interchange(&described) {
            return Ok((row, described));
        }
        let import = Arc::clone(self.import);
        let diff_id = self.diff_id;
        tokio::task::spawn_blocking(move || compress(&import, &diff_id, &row))
            .await
            .map_err(|_| Error::Interrupted)?
    }
}

fn compress(import: &Import, diff_id: &Digest, row: &LayerRow) -> Result<(LayerRow, Described)> {
    let store = import.store();
    let source = store.files.blob(&row.blob);
    let file = File::open(&source).map_err(Error::io("open", &source))?;
    let stage = store.files.stage()?;
    let path = stage.path().join("blob");
    let (blob, blob_size) = gzip(Decompressed::new(file)?, &path)?;
    let new = LayerRow {
        blob,
        blob_size,
        local: false,
        ..row.clone()
    };
    store.files.exchange_blob(diff_id, &path, &new)?;
    store.files.sync()?;
    let _writing = store.writing();
    let index = store.index.snapshot();
    if index.layers.contains_key(diff_id) {
        store.index.apply(Change {
            put_layers: vec![(*diff_id, new.clone())],
            ..Change::default()
        })?;
    }
    let shared = index
        .layers
        .iter()
        .any(|(other, known)| other != diff_id && known.blob == row.blob);
    if !shared && row.blob != blob {
        // Whoever has it open reads on.
        std::fs::remove_file(&source).map_err(Error::io("remove", &source))?;
    }
    let described = Described {
        digest: blob,
        size: blob_size,
        form: Form::Gzip,
    };
    Ok((new, described))
}

/// Writes a gzip file, always the same for the same content.
fn gzip(mut content: impl io::Read, path: &Path) -> Result<(Digest, u64)> {
    let file = File::create_new(path).map_err(Error::io("create", path))?;
    let mut encoder = GzEncoder::new(Hashed::new(file), Compression::default());
    io::copy(&mut content, &mut encoder).map_err(read_error)?;
    let mut hashed = encoder.finish().map_err(Error::io("write", path))?;
    hashed.flush().map_err(Error::io("write", path))?;
    Ok((Digest::finish(hashed.hasher), hashed.count))
}
