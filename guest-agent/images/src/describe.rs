//! Manifests for images that came without one.

use std::fs::File;
use std::io::Read as _;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::manifest;
use crate::store::{Inner, LayerRow};
use crate::{Digest, Error, Image, Result};

const OCI: &str = "application/vnd.oci.image";
const DOCKER: &str = "application/vnd.docker";

/// An image's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// Its digest.
    pub digest: Digest,
    /// What kind of document it is.
    pub media_type: String,
    /// The exact bytes.
    pub bytes: Bytes,
    /// Bytes of the blobs that it names.
    pub content: u64,
    /// The other images of the index that it came by: platform, digest, media type and size.
    pub others: Vec<OtherManifest>,
}

/// Another image of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherManifest {
    /// Its digest.
    pub digest: Digest,
    /// What kind of document it is.
    pub media_type: String,
    /// The document's size.
    pub size: u64,
    /// What it is for; absent for statements about images.
    pub platform: Option<crate::Platform>,
}

/// How a layer's blob is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Gzip,
    Zstd,
}

/// A layer as others see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) form: Form,
}

/// Describes a layer. What was compressed here is seen as the plain archive that it was.
pub(crate) fn layer(store: &Inner, diff_id: &Digest, row: &LayerRow) -> Result<Described> {
    if row.local {
        return Ok(Described {
            digest: *diff_id,
            size: row.tar_size,
            form: Form::Plain,
        });
    }
    Ok(Described {
        digest: row.blob,
        size: row.blob_size,
        form: form(store, &row.blob)?,
    })
}

fn form(store: &Inner, blob: &Digest) -> Result<Form> {
    let path = store.files.blob(blob);
    let mut head = [0; 4];
    let mut file = File::open(&path).map_err(Error::io("open", &path))?;
    let read = file.read(&mut head).map_err(Error::io("read", &path))?;
    Ok(match &head[..read] {
        [0x1f, 0x8b, ..] => Form::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Form::Zstd,
        _ => Form::Plain,
    })
}

/// An OCI manifest.
pub(crate) fn oci(config: &[u8], layers: &[Described]) -> Result<Bytes> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| {
            let compression = match layer.form {
                Form::Plain => "",
                Form::Gzip => "+gzip",
                Form::Zstd => "+zstd",
            };
            let media_type = format!("{OCI}.layer.v1.tar{compression}");
            json!({ "mediaType": media_type, "digest": layer.digest, "size": layer.size })
        })
        .collect();
    document(&json!({
        "schemaVersion": 2,
        "mediaType": format!("{OCI}.manifest.v1+json"),
        "config": {
            "mediaType": format!("{OCI}.config.v1+json"),
            "digest": Digest::of(config),
            "size": config.len(),
        },
        "layers": layers,
    }))
}

/// What Docker pushes: its own manifest, laid out as its own; an OCI one when a layer is neither
/// plain nor gzip.
pub(crate) fn for_push(config: &[u8], layers: &[Described]) -> Result<Bytes> {
    if layers.iter().any(|layer| layer.form == Form::Zstd) {
        return oci(config, layers);
    }
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| {
            let media_type = match layer.form {
                Form::Plain => format!("{DOCKER}.image.rootfs.diff.tar"),
                _ => format!("{DOCKER}.image.rootfs.diff.tar.gzip"),
            };
            json!({ "mediaType": media_type, "size": layer.size, "digest": layer.digest })
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": format!("{DOCKER}.distribution.manifest.v2+json"),
        "config": {
            "mediaType": format!("{DOCKER}.container.image.v1+json"),
            "size": config.len(),
            "digest": Digest::of(config),
        },
        "layers": layers,
    });
    let mut bytes = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indent);
    serde::Serialize::serialize(&manifest, &mut serializer)
        .map_err(|error| Error::invalid(error.to_string()))?;
    Ok(bytes.into())
}

fn document(value: &Value) -> Result<Bytes> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| Error::invalid(error.to_string()))
}

/// See [`crate::Store::manifest`].
pub(crate) fn of_image(store: &Inner, image: &Image) -> Result<ImageManifest> {
    let index = store.index.snapshot();
    let row = index
        .images
        .get(&image.id)
        .ok_or_else(|| Error::no_such_image(&image.id.to_string()))?;
    let rows = row.layers.iter().filter_map(|id| index.layers.get(id));
    let content = rows.map(|row| row.blob_size).sum();
    let kept = |digest: Option<Digest>| match digest {
        Some(digest) => store.index.document(&digest),
        None => Ok(None),
    };
    let bytes = match kept(row.manifest)? {
        Some(bytes) => Bytes::from(bytes),
        None => {
            let config = store
                .index
                .config(&image.id)?
                .ok_or_else(|| Error::no_such_image(&image.id.to_string()))?;
            let described = row
                .layers
                .iter()
                .filter_map(|id| Some(layer(store, id, index.layers.get(id)?)))
                .collect::<Result<Vec<_>>>()?;
            oci(&config, &described)?
        }
    };
    let digest = Digest::of(&bytes);
    let others = match kept(row.index)? {
        Some(list) => others(&list, &digest)?,
        None => Vec::new(),
    };
    Ok(ImageManifest {
        digest,
        media_type: manifest::media_type(&bytes).unwrap_or_default(),
        bytes,
        content,
        others,
    })
}

fn others(list: &[u8], own: &Digest) -> Result<Vec<OtherManifest>> {
    let manifest::Manifest::Index(entries) = manifest::Manifest::parse(list)? else {
        return Ok(Vec::new());
    };
    let others = entries.into_iter().filter(|entry| entry.digest != *own);
    Ok(others
        .map(|entry| OtherManifest {
            platform: entry
                .platform
                .as_ref()
                .filter(|_| !entry.is_attestation())
                .map(|platform| {
                    crate::Platform::normalised(
                        &platform.os,
                        &platform.architecture,
                        platform.variant.as_deref(),
                    )
                }),
            digest: entry.digest,
            media_type: entry.media_type,
            size: entry.size,
        })
        .collect())
}
