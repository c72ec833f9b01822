//! Images from archives: what `docker save`, skopeo, podman and buildx write.
//!
//! An archive may name its layers before or after they come, so whatever looks like a layer is
//! unpacked as it passes; then the documents say what it all means, and all images appear at once.

mod docker_archive;
mod files;
mod oci_layout;

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use self::files::Files;
use crate::progress::Reporter;
use crate::store::versions::{How, Origin};
use crate::store::{Import, Inner, Lower, NewImage};
use crate::stream::{Decompressed, Fed, feed, feed_from};
use crate::{
    Digest, Error, ImageConfig, LoadOptions, LoadedImage, Platform, PullProgress, Reference, Result,
};

/// A document larger than this is not an image's.
const MAX_DOCUMENT: u64 = 8 << 20;

/// An image as an archive describes it.
struct Planned {
    config: Vec<u8>,
    /// Names of the layers' files, lowest first.
    layers: Vec<String>,
    names: Vec<Reference>,
    manifest: Option<Bytes>,
    index: Option<Bytes>,
}

/// See [`crate::Store::load`].
pub(crate) async fn load(
    store: Arc<Inner>,
    archive: impl AsyncRead + Send + Unpin,
    options: LoadOptions,
    progress: mpsc::Sender<PullProgress>,
) -> Result<Vec<LoadedImage>> {
    let (feeder, fed) = feed();
    let reporter = Reporter::new(progress);
    let work = tokio::task::spawn_blocking(move || take_in(store, fed, &options, &reporter));
    let (fed, loaded) = tokio::join!(feed_from(archive, feeder), work);
    fed?;
    loaded.map_err(|_| Error::Interrupted)?
}

fn take_in(
    store: Arc<Inner>,
    archive: Fed,
    options: &LoadOptions,
    reporter: &Reporter,
) -> Result<Vec<LoadedImage>> {
    let import = Import::new(store);
    let mut files = Files::read(Decompressed::new(archive)?, &import, reporter)?;
    let planned = if files.contains("manifest.json") {
        docker_archive::plan(&files)?
    } else if files.contains("index.json") {
        oci_layout::plan(&files, options.platform.as_ref())?
    } else {
        return Err(Error::invalid(
            "the archive holds neither manifest.json nor index.json; expected the output of docker save or an OCI image layout",
        ));
    };
    let before = import.store().index.snapshot();
    let mut images = Vec::new();
    let mut loaded = Vec::new();
    for image in planned {
        let id = Digest::of(&image.config);
        let config = ImageConfig::parse(&image.config)?;
        if let Some(wanted) = &options.platform
            && wanted.rank(&config.platform()).is_none()
        {
            continue;
        }
        take_layers(&import, &mut files, &image, &config, reporter)?;
        if image.names.is_empty() {
            loaded.push(LoadedImage {
                id,
                reference: None,
                replaced: None,
            });
        }
        loaded.extend(image.names.iter().map(|name| {
            LoadedImage {
                id,
                reference: Some(name.familiar()),
                replaced: before
                    .names
                    .get(&name.to_string())
                    .copied()
                    .filter(|old| *old != id),
            }
        }));
        images.push(NewImage {
            config: image.config,
            names: image.names,
            manifest: image.manifest,
            index: image.index,
            ..NewImage::default()
        });
    }
    if let (true, Some(wanted)) = (images.is_empty(), &options.platform) {
        return Err(no_image_for(wanted));
    }
    import.commit(images, &Origin::new(How::Load, &options.by))?;
    Ok(loaded)
}

fn no_image_for(platform: &Platform) -> Error {
    Error::invalid(format!("the archive holds no image for {platform}"))
}

fn take_layers(
    import: &Import,
    files: &mut Files,
    image: &Planned,
    config: &ImageConfig,
    reporter: &Reporter,
) -> Result<()> {
    let diff_ids = config.diff_ids()?;
    if diff_ids.len() != image.layers.len() {
        return Err(Error::invalid(format!(
            "invalid archive: the image config lists {} layers, the manifest {}",
            diff_ids.len(),
            image.layers.len()
        )));
    }
    for (place, (diff_id, name)) in diff_ids.iter().zip(&image.layers).enumerate() {
        let size = files.get(name)?.size;
        let told = || {
            let whole = PullProgress::measured(&diff_id.short(), "Loading layer", size, size);
            reporter.say_blocking(whole);
        };
        if import.hold(diff_id) {
            continue;
        }
        let (mut taken, _stage) = files.layer(name, diff_id)?;
        if taken.refused.is_some() {
            let below = Lower {
                import,
                layers: &diff_ids[..place],
            };
            taken = taken.again(&below)?;
        }
        import.publish(diff_id, &taken.tree, &taken.blob, &taken.row)?;
        told();
    }
    Ok(())
}
