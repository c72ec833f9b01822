//! Bringing new layers to the disk behind whoever brought them in. The index names a layer at once
//! and notes that it is *unsettled*, with the boot of the machine that wrote it. A process that dies
//! loses nothing by that. After a power cut, which the next start knows by the machine's other boot,
//! unsettled layers are checked in full, and images that have a damaged one are let go.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{Change, Snapshot, Store, import};
use crate::{Digest, Reference, Result};

/// Which boot of the machine this is.
static BOOT: LazyLock<String> = LazyLock::new(|| {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    text.unwrap_or_default().trim().to_owned()
});

/// When a layer was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Writing {
    /// In which boot of the machine.
    boot: String,
    /// In nanoseconds since 1970.
    time: i64,
}

impl Writing {
    pub(crate) fn now() -> Self {
        Self {
            boot: BOOT.clone(),
            time: import::now(),
        }
    }
}

impl Store {
    /// Brings what was taken in lately to the disk, and waits for it. Blocks.
    pub fn settle(&self) -> Result<()> {
        let before = self.inner.index.snapshot();
        if before.unsettled.is_empty() {
            return Ok(());
        }
        self.inner.files.sync()?;
        let _writing = self.inner.writing();
        let now = self.inner.index.snapshot();
        // A layer may have gone and come again meanwhile.
        let same = |(diff_id, writing): &(&Digest, &Writing)| {
            before.unsettled.get(diff_id) == Some(writing)
        };
        let settled = now.unsettled.iter().filter(same);
        self.inner.index.apply(Change {
            drop_unsettled: settled.map(|(diff_id, _)| *diff_id).collect(),
            ..Change::default()
        })
    }

    /// Settles whatever comes in, for ever.
    pub async fn keep_settled(self) {
        loop {
            let store = self.clone();
            let settled = tokio::task::spawn_blocking(move || store.settle()).await;
            if let Ok(Err(error)) = settled {
                tracing::warn!(%error, "new images are not on the disk yet");
            }
            self.inner.unsettled.notified().await;
        }
    }

    /// Finds out what a power cut has taken away. Only when nothing else runs.
    pub(super) fn recover(&self) -> Result<()> {
        let index = self.inner.index.snapshot();
        let suspects = index.unsettled.iter();
        let suspects: Vec<Digest> = suspects
            .filter(|(_, writing)| writing.boot != *BOOT)
            .map(|(diff_id, _)| *diff_id)
            .collect();
        if suspects.is_empty() {
            return Ok(());
        }
        let mut lost = BTreeSet::new();
        for diff_id in &suspects {
            let checked = match index.layers.get(diff_id) {
                Some(row) => self.check_layer(diff_id, row, true).map(|_| ()),
                None => Ok(()),
            };
            if let Err(error) = checked {
                tracing::warn!(%diff_id, %error, "a layer was cut short when the machine went down");
                lost.insert(*diff_id);
            }
        }
        let mut change = without(&index, lost);
        change.drop_unsettled = suspects;
        self.inner.index.apply(change)
    }
}

/// What takes layers out of the index, with the images that have them. Names go back to the image
/// that they stood for before, if there is one.
fn without(index: &Snapshot, lost: BTreeSet<Digest>) -> Change {
    let gone = |row: &super::ImageRow| row.layers.iter().any(|layer| lost.contains(layer));
    let images = index.images.iter().filter(|(_, row)| gone(row));
    let images: BTreeSet<Digest> = images.map(|(id, _)| *id).collect();
    let mut change = Change::default();
    for (name, id) in index.names.iter().filter(|(_, id)| images.contains(id)) {
        tracing::warn!(%name, image = %id, "an image was lost when the machine went down; pull or build it again");
        change.drop_names.push(name.clone());
        let history = index.versions.get(name).into_iter().flatten().rev();
        let earlier = history
            .map(|version| version.image)
            .find(|image| index.images.contains_key(image) && !images.contains(image));
        if let Some(image) = earlier
            && let Ok(reference) = Reference::parse(name)
        {
            change.put_names.push((reference, image));
        }
    }
    change.drop_images = images.into_iter().collect();
    change.drop_layers = lost;
    change
}
