//! `docker volume ls`, and what volumes take up on the disk.

use std::sync::Arc;

use super::Volume;
use crate::filters::{Filters, matches_pattern};
use crate::system::directory_size;
use crate::{Engine, Error, blocking};

/// What a volume takes up, and who uses it.
#[derive(Debug, Clone)]
pub struct VolumeUsage {
    /// The volume.
    pub volume: Volume,
    /// Containers that use it.
    pub users: usize,
    /// Bytes of its files.
    pub size: u64,
}

impl Engine {
    /// Volumes that pass the filters `dangling`, `driver`, `label`, `name`, by name.
    pub async fn list_volumes(self: &Arc<Self>, filters: &Filters) -> Result<Vec<Volume>, Error> {
        filters.accept_only(&["dangling", "driver", "label", "name"])?;
        let dangling = filters.flag("dangling")?;
        let all: Vec<Volume> = self.volumes.lock().known.values().cloned().collect();
        Ok(all
            .into_iter()
            .filter(|volume| {
                filters.any("name", |wanted| matches_pattern(wanted, &volume.name))
                    && filters.any("driver", |wanted| wanted == "local")
                    && volume.passes(filters)
            })
            .filter(|volume| {
                dangling.is_none_or(|wanted| self.volume_users(&volume.name).is_empty() == wanted)
            })
            .collect())
    }

    /// Sizes of the volumes whose files are on the data disk.
    pub async fn volume_usage(self: &Arc<Self>) -> Result<Vec<VolumeUsage>, Error> {
        let engine = Arc::clone(self);
        blocking::run(move || {
            let all: Vec<Volume> = engine.volumes.lock().known.values().cloned().collect();
            Ok(all
                .into_iter()
                .filter(|volume| volume.options.is_none())
                .map(|volume| VolumeUsage {
                    users: engine.volume_users(&volume.name).len(),
                    size: directory_size(&volume.mountpoint),
                    volume,
                })
                .collect())
        })
        .await
    }
}
