//! Image manifests and indexes, OCI and Docker schema 2: the same documents under two names.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Digest, Error, Platform, Result};

/// Every media type that a registry should offer us, best first.
pub(crate) const ACCEPT: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A pointer to content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) platform: Option<DescriptorPlatform>,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// A platform as indexes write it; all may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct DescriptorPlatform {
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) variant: Option<String>,
}

/// A parsed document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    /// One image.
    Image {
        /// The configuration document.
        config: Descriptor,
        /// Lowest first.
        layers: Vec<Descriptor>,
    },
    /// Several, by platform.
    Index(Vec<Descriptor>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// The media type that a document says of itself.
pub(crate) fn media_type(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let typed: Typed = serde_json::from_slice(bytes).ok()?;
    // OCI documents may leave their type out.
    Some(typed.media_type.unwrap_or_else(|| {
        let oci = if typed.manifests.is_some() {
            ACCEPT[0]
        } else {
            ACCEPT[2]
        };
        oci.to_owned()
    }))
}

impl Manifest {
    /// Parses a manifest or an index, told apart by what it holds.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| Error::invalid(format!("invalid image manifest: {error}")))?;
        match document {
            Document {
                schema_version: Some(1),
                ..
            } => Err(Error::invalid(
                "the registry offers the image only as manifest version 2, schema 1, which is no longer supported; push it again with a newer client",
            )),
            Document {
                manifests: Some(manifests),
                ..
            } => Ok(Self::Index(manifests)),
            Document {
                config: Some(config),
                layers,
                ..
            } => {
                check_config_type(&config.media_type)?;
                Ok(Self::Image {
                    config,
                    layers: layers.unwrap_or_default(),
                })
            }
            _ => Err(Error::invalid(
                "invalid image manifest: neither an image nor an index",
            )),
        }
    }
}

/// Every blob that a manifest names, of an image or of whatever else a registry keeps.
pub(crate) fn blobs(bytes: &[u8]) -> Result<Vec<Descriptor>> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| Error::invalid(format!("invalid manifest: {error}")))?;
    let layers = document.layers.unwrap_or_default();
    Ok(document.config.into_iter().chain(layers).collect())
}

/// A registry also keeps charts, signatures and models under the same kind of manifest.
fn check_config_type(media_type: &str) -> Result<()> {
    match media_type {
        ""
        | "application/vnd.oci.image.config.v1+json"
        | "application/vnd.docker.container.image.v1+json"
        | "application/octet-stream" => Ok(()),
        other => Err(Error::invalid(format!(
            "unsupported media type {other}: this is not a container image"
        ))),
    }
}

impl Descriptor {
    /// Whether this is a statement about an image rather than an image.
    pub(crate) fn is_attestation(&self) -> bool {
        self.platform
            .as_ref()
            .is_some_and(|platform| platform.os == "unknown")
            || self.annotation("vnd.docker.reference.type").is_some()
    }

    /// One of its annotations.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

/// The image of an index that runs best on `wanted`. An entry without a platform counts as a last
/// resort, since nothing speaks against it.
pub(crate) fn choose<'a>(
    entries: impl IntoIterator<Item = &'a Descriptor>,
    wanted: &Platform,
) -> Option<&'a Descriptor> {
    let rank = |entry: &Descriptor| match &entry.platform {
        None => Some(0),
        Some(platform) => wanted.rank(&Platform {
            os: platform.os.clone(),
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone(),
        }),
    };
    let mut best: Option<(u8, &Descriptor)> = None;
    for entry in entries {
        // The first of equals wins, as with Docker.
        if let Some(rank) = rank(entry).filter(|_| !entry.is_attestation())
            && best.is_none_or(|(known, _)| rank > known)
        {
            best = Some((rank, entry));
        }
    }
    best.map(|(_, entry)| entry)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(content: &str, platform: &str) -> String {
        format!(
            r#"{{"digest":"{}","size":1{platform}}}"#,
            Digest::of(content.as_bytes())
        )
    }

    fn platform(os: &str, architecture: &str) -> String {
        format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#)
    }

    fn chosen(entries: &[String], wanted: &str) -> Option<Digest> {
        let bytes = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        );
        let Manifest::Index(list) = Manifest::parse(bytes.as_bytes()).unwrap() else {
            panic!("not an index")
        };
        choose(&list, &Platform::parse(wanted).unwrap()).map(|entry| entry.digest)
    }

    #[test]
    fn the_best_platform_is_chosen() {
        let entries = [
            entry("attestation", &platform("unknown", "unknown")),
            entry("amd64", &platform("linux", "amd64")),
            entry("amd64 again", &platform("linux", "amd64")),
            entry("arm64", &platform("linux", "arm64")),
            entry("windows", &platform("windows", "amd64")),
        ];
        assert_eq!(chosen(&entries, "linux/amd64"), Some(Digest::of(b"amd64")));
        assert_eq!(
            chosen(&entries, "linux/arm64/v8"),
            Some(Digest::of(b"arm64"))
        );
        assert_eq!(chosen(&entries, "linux/s390x"), None);
        assert_eq!(
            chosen(&[entry("any", "")], "linux/s390x"),
            Some(Digest::of(b"any"))
        );
    }

    #[test]
    fn what_is_not_an_image_is_refused() {
        let digest = Digest::of(b"");
        for document in [
            "{}".to_owned(),
            "[]".to_owned(),
            r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(),
            format!(
                r#"{{"config":{{"digest":"{digest}","mediaType":"application/vnd.cncf.helm.config.v1+json"}}}}"#
            ),
            r#"{"config":{"digest":"sha256:12"}}"#.to_owned(),
        ] {
            assert!(
                matches!(Manifest::parse(document.as_bytes()), Err(Error::Invalid(_))),
                "{document}"
            );
        }
    }
}
