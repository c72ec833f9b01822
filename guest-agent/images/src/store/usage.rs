//! What the images take, to the byte.

use std::collections::{HashMap, HashSet};

use super::Store;
use crate::Digest;

/// What the images take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Files of all layers, each layer once: what Docker counts.
    pub layers: u64,
    /// Blobs that the layers are kept as for pushing and saving.
    pub blobs: u64,
    /// For each image, the bytes of the layers that another image has, too.
    pub shared: HashMap<Digest, u64>,
}

impl Store {
    /// What the images take.
    pub fn usage(&self) -> Usage {
        let index = self.inner.index.snapshot();
        let mut uses: HashMap<&Digest, u32> = HashMap::new();
        for row in index.images.values().filter(|row| !row.hidden) {
            let layers: HashSet<&Digest> = row.layers.iter().collect();
            for layer in layers {
                *uses.entry(layer).or_default() += 1;
            }
        }
        let size = |layer: &Digest| index.layers.get(layer).map_or(0, |row| row.size);
        let shared = index.images.iter().map(|(id, row)| {
            let shared = row.layers.iter().filter(|layer| uses.get(layer) > Some(&1));
            (*id, shared.map(size).sum())
        });
        let mut blobs: HashMap<&Digest, u64> = HashMap::new();
        for row in index.layers.values() {
            blobs.insert(&row.blob, row.blob_size);
        }
        Usage {
            layers: index.layers.values().map(|row| row.size).sum(),
            blobs: blobs.values().sum(),
            shared: shared.collect(),
        }
    }
}
