//! What the index holds, in memory: rows, a picture of all of them, and changes to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::settle::Writing;
use super::versions::{Retention, Version};
use crate::{Digest, Reference};

/// What the index keeps of an image besides its configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ImageRow {
    /// Diff ids, lowest first.
    pub(crate) layers: Vec<Digest>,
    /// When a name was last given, in nanoseconds since 1970.
    #[serde(default)]
    pub(crate) last_tagged: i64,
    /// Removed by force while a container used it: kept for that container only.
    #[serde(default)]
    pub(crate) hidden: bool,
    /// The image that this one was made from here.
    #[serde(default)]
    pub(crate) parent: Option<Digest>,
    /// The manifest that it came with.
    #[serde(default)]
    pub(crate) manifest: Option<Digest>,
    /// The index that named the manifest.
    #[serde(default)]
    pub(crate) index: Option<Digest>,
}

/// An unpacked layer and the blob it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRow {
    /// Sum of the files' sizes.
    pub(crate) size: u64,
    /// The blob as it is kept, usually compressed.
    pub(crate) blob: Digest,
    /// The blob's size.
    pub(crate) blob_size: u64,
    /// The layer's size as a plain archive; zero when that was not counted.
    #[serde(default)]
    pub(crate) tar_size: u64,
    /// The blob was compressed here to save space, and nobody else has it.
    #[serde(default)]
    pub(crate) local: bool,
    /// Repositories that have the blob, the latest last: `docker.io/library/nginx`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) found_in: Vec<String>,
    /// The layers below that a file of this one was copied from: a layer may link to their files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) borrowed: Vec<Digest>,
}

/// Repositories worth remembering for a blob.
const FOUND_IN: usize = 12;

impl LayerRow {
    /// Notes that a repository has the blob, and that it is the latest; whether that was news.
    pub(crate) fn found(&mut self, repository: &str) -> bool {
        if self.found_in.last().is_some_and(|last| last == repository) {
            return false;
        }
        self.found_in.retain(|known| known != repository);
        if self.found_in.len() == FOUND_IN {
            self.found_in.remove(0);
        }
        self.found_in.push(repository.to_owned());
        true
    }
}

/// Everything in the index but documents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) images: BTreeMap<Digest, ImageRow>,
    pub(crate) layers: HashMap<Digest, LayerRow>,
    pub(crate) names: BTreeMap<String, Digest>,
    /// The names of each image, sorted.
    pub(crate) named: HashMap<Digest, BTreeSet<String>>,
    /// Manifests and indexes.
    pub(crate) documents: BTreeSet<Digest>,
    /// What each name stood for, oldest first.
    pub(crate) versions: BTreeMap<String, Vec<Version>>,
    pub(crate) retention: Retention,
    /// Layers whose files a power cut could still take away, each with the [`Writing`] it came by.
    pub(crate) unsettled: BTreeMap<Digest, Writing>,
}

/// One change, applied as a whole.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) put_images: Vec<(Digest, ImageRow)>,
    pub(crate) put_configs: Vec<(Digest, Vec<u8>)>,
    pub(crate) put_documents: Vec<(Digest, Vec<u8>)>,
    pub(crate) put_layers: Vec<(Digest, LayerRow)>,
    pub(crate) put_names: Vec<(Reference, Digest)>,
    pub(crate) put_versions: Vec<(String, Version)>,
    pub(crate) put_retention: Option<Retention>,
    pub(crate) drop_images: Vec<Digest>,
    pub(crate) drop_layers: BTreeSet<Digest>,
    pub(crate) drop_names: Vec<String>,
    pub(crate) drop_documents: Vec<Digest>,
    /// Versions that are forgotten, by name and number.
    pub(crate) drop_versions: Vec<(String, u64)>,
    pub(crate) put_unsettled: Vec<(Digest, Writing)>,
    pub(crate) drop_unsettled: Vec<Digest>,
}

impl Snapshot {
    /// Sum of an image's layers' sizes.
    pub(crate) fn size(&self, row: &ImageRow) -> u64 {
        let layers = row.layers.iter().filter_map(|layer| self.layers.get(layer));
        layers.map(|layer| layer.size).sum()
    }

    /// The same change as on the disk.
    pub(crate) fn apply(&mut self, change: &Change) {
        for name in &change.drop_names {
            self.unname(name);
        }
        for id in &change.drop_images {
            self.images.remove(id);
        }
        for id in &change.drop_layers {
            self.layers.remove(id);
            self.unsettled.remove(id);
        }
        for id in &change.drop_unsettled {
            self.unsettled.remove(id);
        }
        for digest in &change.drop_documents {
            self.documents.remove(digest);
        }
        for (name, number) in &change.drop_versions {
            if let Some(versions) = self.versions.get_mut(name) {
                versions.retain(|version| version.number != *number);
            }
        }
        for (id, row) in &change.put_images {
            self.images.insert(*id, row.clone());
        }
        for (id, row) in &change.put_layers {
            self.layers.insert(*id, row.clone());
        }
        for (digest, _) in &change.put_documents {
            self.documents.insert(*digest);
        }
        for (reference, id) in &change.put_names {
            self.name(reference.to_string(), *id);
        }
        for (name, version) in &change.put_versions {
            let versions = self.versions.entry(name.clone()).or_default();
            versions.push(version.clone());
        }
        for (id, writing) in &change.put_unsettled {
            self.unsettled.insert(*id, writing.clone());
        }
        if let Some(retention) = &change.put_retention {
            self.retention = retention.clone();
        }
    }

    /// Gives a name to an image, taking it from the one that had it.
    pub(crate) fn name(&mut self, name: String, id: Digest) {
        self.unname(&name);
        self.named.entry(id).or_default().insert(name.clone());
        self.names.insert(name, id);
    }

    fn unname(&mut self, name: &str) {
        if let Some(id) = self.names.remove(name)
            && let Some(names) = self.named.get_mut(&id)
        {
            names.remove(name);
            if names.is_empty() {
                self.named.remove(&id);
            }
        }
    }

    /// The documents that no image needs.
    pub(crate) fn loose_documents(&self) -> Vec<Digest> {
        let used: BTreeSet<Digest> = self
            .images
            .values()
            .flat_map(|row| [row.manifest, row.index])
            .flatten()
            .collect();
        self.documents.difference(&used).copied().collect()
    }
}
