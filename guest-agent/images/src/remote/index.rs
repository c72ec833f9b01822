//! A new index in a registry, over images that registries have: one name for several platforms.

use bytes::Bytes;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{RemoteImage, find, platform_of};
use crate::manifest::{self, Descriptor, Manifest};
use crate::registry::{Fetched, Registry, Started};
use crate::{Access, Auth, Digest, Error, Reference, Result};

const OCI_INDEX: &str = manifest::ACCEPT[0];
const DOCKER_LIST: &str = manifest::ACCEPT[1];

/// An image, or an index of images, that goes into a new index.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in its registry.
    pub name: Reference,
    /// Credentials for that registry.
    pub auth: Option<Auth>,
}

/// Gives `target` an index over what `sources` are, and its repository all that they consist of. Of
/// two for the same platform the later stays.
pub async fn put_index(
    target: &Reference,
    sources: &[Source],
    access: &Access,
) -> Result<RemoteImage> {
    if target.digest().is_some() {
        return Err(Error::invalid(format!(
            "{} is a digest; an index needs a tag to be found by",
            target.familiar()
        )));
    }
    if sources.is_empty() {
        return Err(Error::invalid("an index needs at least one image"));
    }
    let mut others: Vec<String> = sources
        .iter()
        .filter(|source| source.name.domain() == target.domain())
        .map(|source| source.name.path().to_owned())
        .filter(|path| path != target.path())
        .collect();
    others.sort();
    others.dedup();
    let registry = Registry::for_push(target, access, &others).await?;
    let mut index = Index::default();
    for source in sources {
        let own = Access {
            auth: source.auth.clone(),
            ..access.clone()
        };
        let (from, found) = find(&source.name, &own)
            .await
            .map_err(|error| named(&source.name, error))?;
        let joining = Joining {
            target,
            registry: &registry,
            source: &source.name,
            from: &from,
        };
        for entry in entries(&from, &found).await? {
            joining.bring(&found, &entry).await?;
            index.add(entry);
        }
    }
    let document = index.document()?;
    let media_type = manifest::media_type(&document).unwrap_or_default();
    let tag = target.tag().unwrap_or("latest");
    registry
        .put_manifest(tag, &media_type, document.clone())
        .await?;
    let fetched = Fetched {
        digest: Digest::of(&document),
        media_type,
        bytes: document,
    };
    super::describe(&registry, fetched).await
}

/// Which of several names it is that nobody has.
fn named(name: &Reference, error: Error) -> Error {
    match error {
        Error::NotFound(why) => {
            Error::NotFound(format!("no such manifest: {}: {why}", name.familiar()))
        }
        error => error,
    }
}

/// The entries that a document stands for, with all that is said of them.
async fn entries(from: &Registry, found: &Fetched) -> Result<Vec<Value>> {
    match Manifest::parse(&found.bytes)? {
        Manifest::Index(_) => {
            let mut document: Value = serde_json::from_slice(&found.bytes)
                .map_err(|error| Error::invalid(format!("invalid index: {error}")))?;
            match document["manifests"].take() {
                Value::Array(entries) => Ok(entries),
                _ => Ok(Vec::new()),
            }
        }
        Manifest::Image { config, .. } => {
            let mut entry = json!({
                "mediaType": found.media_type,
                "digest": found.digest,
                "size": found.bytes.len(),
            });
            if let Some(platform) = platform_of(from, &config.digest).await? {
                entry["platform"] = json!(platform);
            }
            Ok(vec![entry])
        }
    }
}

/// Bringing one source's images into the target's repository.
struct Joining<'a> {
    target: &'a Reference,
    registry: &'a Registry,
    source: &'a Reference,
    from: &'a Registry,
}

impl Joining<'_> {
    async fn bring(&self, found: &Fetched, entry: &Value) -> Result<()> {
        if self.source.name() == self.target.name() {
            return Ok(());
        }
        let entry = descriptor(entry)?;
        let fetched;
        let document = if entry.digest == found.digest {
            found
        } else {
            fetched = self.from.manifest(&entry.digest.to_string()).await?;
            &fetched
        };
        for blob in manifest::blobs(&document.bytes)? {
            self.bring_blob(&blob).await?;
        }
        let digest = document.digest.to_string();
        self.registry
            .put_manifest(&digest, &document.media_type, document.bytes.clone())
            .await
    }

    async fn bring_blob(&self, blob: &Descriptor) -> Result<()> {
        if self.registry.has_blob(&blob.digest).await? {
            return Ok(());
        }
        if self.source.domain() == self.target.domain() {
            let mounted = self.registry.mount(&blob.digest, self.source.path());
            if mounted.await? == Started::Mounted {
                return Ok(());
            }
        }
        self.registry.copy_blob(self.from, blob).await
    }
}

fn descriptor(entry: &Value) -> Result<Descriptor> {
    Descriptor::deserialize(entry)
        .map_err(|error| Error::invalid(format!("invalid entry of an index: {error}")))
}

/// What the new index is made of.
#[derive(Default)]
struct Index(Vec<Value>);

impl Index {
    fn add(&mut self, entry: Value) {
        let is_image = |entry: &Value| descriptor(entry).is_ok_and(|d| !d.is_attestation());
        self.0.retain(|known| {
            let same_platform = entry.get("platform").is_some()
                && known.get("platform") == entry.get("platform")
                && is_image(known)
                && is_image(&entry);
            known["digest"] != entry["digest"] && !same_platform
        });
        self.0.push(entry);
    }

    /// Docker's form when all entries have it, which old clients want; OCI's otherwise.
    fn document(&self) -> Result<Bytes> {
        let docker = |entry: &Value| {
            let media_type = entry["mediaType"].as_str().unwrap_or_default();
            media_type.starts_with("application/vnd.docker.")
        };
        let media_type = if self.0.iter().all(docker) {
            DOCKER_LIST
        } else {
            OCI_INDEX
        };
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": self.0,
        });
        let bytes = serde_json::to_vec_pretty(&document)
            .map_err(|error| Error::invalid(format!("the index cannot be written: {error}")))?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(content: &str, architecture: &str, kind: &str) -> Value {
        json!({
            "mediaType": format!("application/vnd.{kind}.manifest.v1+json"),
            "digest": Digest::of(content.as_bytes()),
            "size": 1,
            "platform": { "os": "linux", "architecture": architecture },
        })
    }

    #[test]
    fn the_later_of_a_platform_stays() {
        let mut index = Index::default();
        for (content, architecture) in [
            ("a", "amd64"),
            ("b", "arm64"),
            ("c", "amd64"),
            ("c", "amd64"),
        ] {
            index.add(entry(content, architecture, "oci.image"));
        }
        let wanted = ["b", "c"].map(|content| json!(Digest::of(content.as_bytes())));
        let digests: Vec<_> = index
            .0
            .iter()
            .map(|entry| entry["digest"].clone())
            .collect();
        assert_eq!(digests, wanted);
    }

    #[test]
    fn attestations_all_stay() {
        let mut index = Index::default();
        for content in ["a", "b"] {
            let mut statement = entry(content, "unknown", "oci.image");
            statement["platform"]["os"] = json!("unknown");
            index.add(statement);
        }
        assert_eq!(index.0.len(), 2);
    }

    #[test]
    fn the_form_is_what_all_entries_have() {
        for (kinds, form) in [
            (&["docker.distribution"][..], DOCKER_LIST),
            (&["docker.distribution", "oci.image"], OCI_INDEX),
            (&["oci.image"], OCI_INDEX),
        ] {
            let mut index = Index::default();
            for kind in kinds {
                index.add(entry(kind, kind, kind));
            }
            let document = index.document().unwrap();
            assert_eq!(manifest::media_type(&document).as_deref(), Some(form));
        }
    }
}
