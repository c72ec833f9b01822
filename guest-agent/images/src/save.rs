//! `docker save`: an archive that is an OCI layout and a Docker archive at once, as Docker's own
//! has been since version 25, so that every loader takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::describe::{self, Described};
use crate::load::LEGACY_TAGS;
use crate::manifest::{Manifest, media_type};
use crate::store::{Import, Inner, LayerRow, names};
use crate::stream::Decompressed;
use crate::{Digest, Error, ImageConfig, Platform, Reference, Result};

const QUEUE: usize = 16;
const OCI: &str = "application/vnd.oci.image";

/// See [`crate::Store::save`].
pub(crate) async fn save(
    store: Arc<Inner>,
    names: &[String],
    platform: Option<&Platform>,
    mut archive: impl AsyncWrite + Send + Unpin,
) -> Result<Vec<Digest>> {
    let wanted = select(&store, names, platform)?;
    let ids = wanted.keys().copied().collect();
    let (sender, mut pieces) = mpsc::channel(QUEUE);
    let work = tokio::task::spawn_blocking(move || write(store, &wanted, Pieces(sender)));
    let gone =
        |error: io::Error| Error::Network(format!("nobody takes the archive any more: {error}"));
    let passing = async {
        while let Some(piece) = pieces.recv().await {
            if let Err(error) = archive.write_all(&piece).await {
                // Ends the other side.
                pieces.close();
                return Err(gone(error));
            }
        }
        archive.flush().await.map_err(gone)
    };
    let (passed, written) = tokio::join!(passing, work);
    passed?;
    written.map_err(|_| Error::Interrupted)??;
    Ok(ids)
}

/// Which images to write, each with the names to write.
fn select(
    store: &Inner,
    names: &[String],
    platform: Option<&Platform>,
) -> Result<BTreeMap<Digest, BTreeSet<String>>> {
    let index = store.index.snapshot();
    let mut wanted: BTreeMap<Digest, BTreeSet<String>> = BTreeMap::new();
    for name in names {
        // A bare repository means all its tags.
        let tags: Vec<(&String, &Digest)> = match Reference::parse_bare(name) {
            Ok(bare) if bare.tag().is_none() && bare.digest().is_none() => {
                let prefix = format!("{}:", bare.name());
                index
                    .names
                    .iter()
                    .filter(|(known, _)| known.starts_with(&prefix))
                    .collect()
            }
            _ => Vec::new(),
        };
        for (tag, id) in &tags {
            wanted
                .entry(**id)
                .or_default()
                .insert(Reference::parse(tag)?.familiar());
        }
        if tags.is_empty() {
            let id = names::resolve(&index, name).map_err(|error| not_here(error, name))?;
            let saved = wanted.entry(id).or_default();
            if let Ok(reference) = Reference::parse(name)
                && reference.digest().is_none()
                && index.names.get(&reference.to_string()) == Some(&id)
            {
                saved.insert(reference.familiar());
            }
        }
    }
    if let Some(platform) = platform {
        for id in wanted.keys() {
            let own = store.index.parsed(id)?.platform();
            if platform.rank(&own).is_none() {
                return Err(Error::NotFound(format!(
                    "no suitable export target found for platform {platform}"
                )));
            }
        }
    }
    Ok(wanted)
}

/// Docker's words, which are not those for other operations.
fn not_here(error: Error, name: &str) -> Error {
    match (error, Reference::parse_bare(name)) {
        (Error::NotFound(_), Ok(bare)) if bare.tag().is_some() || bare.digest().is_some() => {
            Error::NotFound("reference does not exist".to_owned())
        }
        (Error::NotFound(_), _) => Error::no_such_image(name),
        (error, _) => error,
    }
}

fn write(
    store: Arc<Inner>,
    wanted: &BTreeMap<Digest, BTreeSet<String>>,
    pieces: Pieces,
) -> Result<()> {
    // Holds the layers, so that a removal meanwhile leaves the blobs alone.
    let hold = Import::new(store);
    let mut archive = Archive {
        tar: tar::Builder::new(io::BufWriter::with_capacity(1 << 17, pieces)),
        done: BTreeSet::new(),
    };
    let (mut items, mut manifests) = (Vec::new(), Vec::new());
    let mut tags: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let rows = hold.store().index.snapshot();
    for (id, names) in wanted {
        let store = hold.store();
        let config = store
            .index
            .config(id)?
            .ok_or_else(|| Error::no_such_image(&id.to_string()))?;
        let parsed = ImageConfig::parse(&config)?;
        let created = created(&parsed);
        let mut layers = Vec::new();
        for diff_id in &parsed.diff_ids()? {
            hold.hold(diff_id);
            let row = hold.row(diff_id)?;
            let described = describe::layer(store, diff_id, &row)?;
            archive.layer(store, &row, &described, created)?;
            layers.push(described);
        }
        archive.blob(&config, "", created)?;
        let paths: Vec<String> = layers
            .iter()
            .map(|layer| blob_path(&layer.digest.to_string()))
            .collect();
        let mut item =
            json!({ "Config": blob_path(&id.to_string()), "RepoTags": names, "Layers": paths });
        let parent = rows.images.get(id).and_then(|row| row.parent);
        if let Some(parent) = parent.filter(|parent| wanted.contains_key(parent)) {
            item["Parent"] = json!(parent);
        }
        items.push(item);
        let media_type = format!("{OCI}.manifest.v1+json");
        let manifest = manifest(store, id, &config, &layers)?;
        let entry = archive.blob(&manifest, &media_type, 0)?;
        if names.is_empty() {
            manifests.push(entry.clone());
        }
        for name in names {
            let full = Reference::parse(name)?;
            let mut entry = entry.clone();
            entry["annotations"] = json!({
                "io.containerd.image.name": full.to_string(),
                "org.opencontainers.image.ref.name": full.tag(),
            });
            manifests.push(entry);
            if let (Some(tag), Some(top)) = (full.tag(), parsed.diff_ids()?.last()) {
                let known = tags.entry(full.familiar_name()).or_default();
                known.insert(tag.to_owned(), top.hex());
            }
        }
    }
    let index = json!({ "schemaVersion": 2, "mediaType": format!("{OCI}.index.v1+json"), "manifests": manifests });
    archive.file("index.json", &to_bytes(&index)?, 0)?;
    archive.file("manifest.json", &to_bytes(&items)?, 0)?;
    archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0)?;
    if !tags.is_empty() {
        archive.file(LEGACY_TAGS, &to_bytes(&tags)?, 0)?;
    }
    archive.finish()
}

/// The manifest that the image came with when the archive holds the same blobs, so that its digest
/// stays; else a new one.
fn manifest(store: &Inner, id: &Digest, config: &[u8], layers: &[Described]) -> Result<Bytes> {
    let kept = store.index.snapshot();
    let kept = kept.images.get(id).and_then(|row| row.manifest);
    if let Some(digest) = kept
        && let Some(bytes) = store.index.document(&digest)?
        && media_type(&bytes).is_some_and(|kind| kind.starts_with(OCI))
        && let Manifest::Image {
            config,
            layers: own,
        } = Manifest::parse(&bytes)?
        && config.digest == *id
        && own
            .iter()
            .map(|layer| layer.digest)
            .eq(layers.iter().map(|layer| layer.digest))
    {
        return Ok(bytes.into());
    }
    describe::oci(config, layers)
}

/// When an image was made, in seconds since 1970: the time of its files in an archive, as with
/// Docker. What is about the archive as a whole is of 1970.
fn created(config: &ImageConfig) -> u64 {
    let time = config.created().and_then(|text| text.parse().ok());
    time.map_or(0, |time: jiff::Timestamp| {
        u64::try_from(time.as_second()).unwrap_or(0)
    })
}

/// The archive being written. Equal contents give equal bytes: no time of writing, no owners.
struct Archive {
    tar: tar::Builder<io::BufWriter<Pieces>>,
    done: BTreeSet<Digest>,
}

impl Archive {
    /// Writes a small blob once and describes it.
    fn blob(&mut self, bytes: &[u8], media_type: &str, time: u64) -> Result<Value> {
        let digest = Digest::of(bytes);
        if self.done.insert(digest) {
            self.file(&blob_path(&digest.to_string()), bytes, time)?;
        }
        Ok(json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
    }

    /// Writes a layer's blob once; one that was compressed here leaves as the plain archive that it
    /// was, which every loader takes.
    fn layer(
        &mut self,
        store: &Inner,
        row: &LayerRow,
        described: &Described,
        time: u64,
    ) -> Result<()> {
        if !self.done.insert(described.digest) {
            return Ok(());
        }
        let path = store.files.blob(&row.blob);
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let mut header = header(described.size, time);
        let name = blob_path(&described.digest.to_string());
        let appended = if row.local {
            self.tar
                .append_data(&mut header, name, Decompressed::new(file)?)
        } else {
            self.tar.append_data(&mut header, name, file)
        };
        appended.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Interrupted,
            _ => Error::io("read", &path)(error),
        })
    }

    fn file(&mut self, name: &str, bytes: &[u8], time: u64) -> Result<()> {
        self.tar
            .append_data(&mut header(bytes.len() as u64, time), name, bytes)
            .map_err(interrupted)
    }

    fn finish(self) -> Result<()> {
        self.tar
            .into_inner()
            .and_then(|mut buffer| buffer.flush())
            .map_err(interrupted)
    }
}

fn header(size: u64, time: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(time);
    header
}

fn blob_path(digest: &(impl AsRef<str> + ?Sized)) -> String {
    format!("blobs/{}", digest.as_ref().replace(':', "/"))
}

fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::invalid(error.to_string()))
}

/// Writing fails only when the other end is gone, and that end tells why.
fn interrupted(_: io::Error) -> Error {
    Error::Interrupted
}

/// Hands written pieces to asynchronous code.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len())
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
