//! Images from archives: what `docker save`, skopeo, podman and buildx write.
//!
//! An archive may name its layers before or after they come, so its files are first spooled into a
//! stage on the store's disk, hashed on the way; then the documents say what they mean, the layers
//! are unpacked and verified, and all images appear at once.

mod docker_archive;
mod oci_layout;
mod spool;

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use self::spool::{Spool, Spooled};
use crate::layer::unpack_layer;
use crate::progress::Reporter;
use crate::store::{Import, Inner, LayerRow, NewImage};
use crate::stream::{Decompressed, Fed, feed};
use crate::{Digest, Error, ImageConfig, LoadedImage, PullProgress, Reference, Result};

const PIECE: usize = 128 * 1024;
/// A document larger than this is not an image's.
const MAX_DOCUMENT: u64 = 8 << 20;
/// Bytes between two progress messages of a layer.
const STEP: u64 = 1 << 20;

/// An image as an archive describes it.
struct Planned {
    config: Vec<u8>,
    layers: Vec<Spooled>,
    names: Vec<Reference>,
}

/// See [`crate::Store::load`].
pub(crate) async fn load(
    store: Arc<Inner>,
    mut archive: impl AsyncRead + Send + Unpin,
    progress: mpsc::Sender<PullProgress>,
) -> Result<Vec<LoadedImage>> {
    let (feeder, fed) = feed();
    let reporter = Reporter::new(progress);
    let work = tokio::task::spawn_blocking(move || take_in(store, fed, &reporter));
    let feeding = async {
        loop {
            let mut piece = BytesMut::with_capacity(PIECE);
            match archive.read_buf(&mut piece).await {
                Ok(0) => {
                    feeder.finish().await;
                    return Ok(());
                }
                Ok(_) => {
                    if !feeder.send(piece.freeze()).await {
                        return Ok(());
                    }
                }
                Err(error) => {
                    return Err(Error::Network(format!(
                        "the archive did not arrive in full: {error}"
                    )));
                }
            }
        }
    };
    let (fed, loaded) = tokio::join!(feeding, work);
    fed?;
    loaded.map_err(|_| Error::Interrupted)?
}

fn take_in(store: Arc<Inner>, archive: Fed, reporter: &Reporter) -> Result<Vec<LoadedImage>> {
    let stage = store.files.stage()?;
    let spool = Spool::read(Decompressed::new(archive)?, stage.path())?;
    let planned = if spool.contains("manifest.json") {
        docker_archive::plan(&spool)?
    } else if spool.contains("index.json") {
        oci_layout::plan(&spool)?
    } else {
        return Err(Error::invalid(
            "the archive holds neither manifest.json nor index.json; expected the output of docker save or an OCI image layout",
        ));
    };
    let import = Import::new(store);
    let mut images = Vec::new();
    let mut loaded = Vec::new();
    for image in planned {
        let id = Digest::of(&image.config);
        take_layers(&import, &image, reporter)?;
        if image.names.is_empty() {
            loaded.push(LoadedImage {
                id,
                reference: None,
            });
        }
        loaded.extend(image.names.iter().map(|name| LoadedImage {
            id,
            reference: Some(name.familiar()),
        }));
        images.push(NewImage {
            id,
            config: image.config,
            names: image.names,
            parent: None,
        });
    }
    import.commit(images)?;
    Ok(loaded)
}

fn take_layers(import: &Import, image: &Planned, reporter: &Reporter) -> Result<()> {
    let diff_ids = ImageConfig::parse(&image.config)?.diff_ids()?;
    if diff_ids.len() != image.layers.len() {
        return Err(Error::invalid(format!(
            "invalid archive: the image config lists {} layers, the manifest {}",
            diff_ids.len(),
            image.layers.len()
        )));
    }
    for (diff_id, blob) in diff_ids.iter().zip(&image.layers) {
        if import.hold(diff_id)? {
            continue;
        }
        let stage = import.store().files.stage()?;
        let file = File::open(&blob.path).map_err(Error::io("open", &blob.path))?;
        let source = Metered {
            source: file,
            id: diff_id.short(),
            done: 0,
            told: 0,
            total: blob.size,
            reporter,
        };
        let (unpacked, mut source) = unpack_layer(source, diff_id, &stage)?;
        source.tell();
        let row = LayerRow {
            size: unpacked.size,
            blob: blob.digest,
            blob_size: blob.size,
        };
        import.publish(diff_id, &unpacked.tree, &blob.path, &row)?;
    }
    Ok(())
}

/// Tells how much of a layer was read.
struct Metered<'a, R> {
    source: R,
    id: String,
    done: u64,
    told: u64,
    total: u64,
    reporter: &'a Reporter,
}

impl<R> Metered<'_, R> {
    fn tell(&mut self) {
        self.told = self.done;
        self.reporter.say_blocking(PullProgress::measured(
            &self.id,
            "Loading layer",
            self.done,
            self.total,
        ));
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.done += count as u64;
        if self.done - self.told >= STEP {
            self.tell();
        }
        Ok(count)
    }
}
