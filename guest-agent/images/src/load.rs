//! Images from archives: what `docker save`, skopeo, podman and buildx write.
//!
//! An archive may name its layers before or after they come, so whatever looks like a layer is
//! unpacked as it passes; then the documents say what it all means, and all images appear at once.

mod docker_archive;
mod files;
mod legacy;
mod oci_layout;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use self::files::Files;
use crate::progress::Reporter;
use crate::store::versions::{How, Origin};
use crate::store::{Import, Inner, Lower, NewImage, Snapshot};
use crate::stream::{Decompressed, Fed, feed, feed_from};
use crate::{
    Digest, Error, ImageConfig, LoadOptions, LoadedImage, Platform, PullProgress, Reference, Result,
};

/// A document larger than this is not an image's.
const MAX_DOCUMENT: u64 = 8 << 20;
/// Where archives of old have their tags; newer ones have it for old loaders.
pub(crate) const LEGACY_TAGS: &str = "repositories";

/// An image as an archive describes it.
#[derive(Default)]
struct Planned {
    config: Vec<u8>,
    /// Names of the layers' files, lowest first.
    layers: Vec<String>,
    names: Vec<Reference>,
    /// The image that it was made from.
    parent: Option<Digest>,
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
    } else if files.contains(LEGACY_TAGS) {
        legacy::plan(&files)?
    } else {
        return Err(Error::invalid(
            "the archive holds neither manifest.json nor index.json nor repositories; expected the output of docker save or an OCI image layout",
        ));
    };
    let mut images = Vec::new();
    for image in planned {
        let config = ImageConfig::parse(&image.config)?;
        if let Some(wanted) = &options.platform
            && wanted.rank(&config.platform()).is_none()
        {
            continue;
        }
        take_layers(&import, &mut files, &image, &config, reporter)?;
        images.push(NewImage {
            config: image.config,
            names: image.names,
            parent: image.parent,
            manifest: image.manifest,
            index: image.index,
            ..NewImage::default()
        });
    }
    if let (true, Some(wanted)) = (images.is_empty(), &options.platform) {
        return Err(no_image_for(wanted));
    }
    let loaded = to_tell(&images, &import.store().index.snapshot());
    import.commit(images, &Origin::new(How::Load, &options.by))?;
    Ok(loaded)
}

/// What is told of new images. Those without a name that others were made from come along in silence.
fn to_tell(images: &[NewImage], before: &Snapshot) -> Vec<LoadedImage> {
    let ids = images.iter().map(|image| Digest::of(&image.config));
    let ids: Vec<Digest> = ids.collect();
    // Of two descriptions of the same image the last counts.
    let parents = ids.iter().zip(images).map(|(id, image)| (id, image.parent));
    let parents: BTreeMap<&Digest, Option<Digest>> = parents.collect();
    let parents: BTreeSet<Digest> = parents.into_values().flatten().collect();
    let mut loaded = Vec::new();
    for (id, image) in ids.iter().zip(images) {
        if image.names.is_empty() && !parents.contains(id) {
            loaded.push(LoadedImage {
                id: *id,
                reference: None,
                replaced: None,
            });
        }
        loaded.extend(image.names.iter().map(|name| {
            let old = before.names.get(&name.to_string()).copied();
            LoadedImage {
                id: *id,
                reference: Some(name.familiar()),
                replaced: old.filter(|old| old != id),
            }
        }));
    }
    loaded
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
