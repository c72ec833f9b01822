//! `docker volume prune`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::containers::Pruned;
use crate::error::go_bool;
use crate::events::Subject;
use crate::filters::Filters;
use crate::system::directory_size;
use crate::{Engine, Error, blocking};

impl Engine {
    /// Removes volumes that no container uses: those without a name, with the filter `all` the
    /// others, too.
    pub async fn prune_volumes(self: &Arc<Self>, filters: Filters) -> Result<Pruned, Error> {
        filters.accept_only(&["label", "label!", "all"])?;
        let all = wants_all(&filters)?;
        let _only_one = self.only_prune()?;
        let engine = Arc::clone(self);
        let pruned = blocking::run(move || {
            let wanted: Vec<_> = engine
                .volumes
                .lock()
                .known
                .values()
                .filter(|volume| (all || volume.is_anonymous()) && volume.passes(&filters))
                // As with dockerd, what is kept elsewhere is left alone.
                .filter(|volume| volume.options.is_none())
                .cloned()
                .collect();
            let mut pruned = Pruned::default();
            for volume in wanted {
                if !engine.volume_users(&volume.name).is_empty() {
                    continue;
                }
                let size = directory_size(&volume.mountpoint);
                match engine.remove_volume_blocking(&volume.name) {
                    Ok(volume) => {
                        pruned.deleted.push(volume.name);
                        pruned.reclaimed += size;
                    }
                    // Somebody uses it now, or has removed it.
                    Err(Error::Conflict(_) | Error::NotFound(_)) => {}
                    Err(error) => tracing::warn!(volume = volume.name, %error, "pruning it failed"),
                }
            }
            Ok(pruned)
        })
        .await?;
        let reclaimed = BTreeMap::from([("reclaimed".into(), pruned.reclaimed.to_string())]);
        self.events.publish(Subject::Volume, "prune", "", reclaimed);
        Ok(pruned)
    }
}

/// Whether volumes with a name go, too.
fn wants_all(filters: &Filters) -> Result<bool, Error> {
    let wrong = |text: String| Err(Error::Invalid(format!("invalid filter 'all{text}")));
    match filters.get("all") {
        [] => Ok(false),
        [one] => go_bool(one).or_else(|why| wrong(format!("': {why}"))),
        all => wrong(format!("=[{}]': only one value is expected", all.join(" "))),
    }
}
