//! `docker container prune`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::State;
use crate::events::Subject;
use crate::filters::Filters;
use crate::{Engine, Error};

/// What a prune removed.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// Ids.
    pub deleted: Vec<String>,
    /// Bytes that were freed.
    pub reclaimed: u64,
}

impl Engine {
    /// Removes all containers that don't run and pass the filters `until` and `label`.
    pub async fn prune_containers(self: &Arc<Self>, filters: &Filters) -> Result<Pruned, Error> {
        filters.accept_only(&["label", "label!", "until"])?;
        let until = filters.until()?;
        let _only_one = self.only_prune()?;
        let mut pruned = Pruned::default();
        for container in self.all_containers() {
            let snapshot = container.snapshot();
            let record = &snapshot.record;
            let idle = matches!(record.state, State::Created | State::Exited);
            let old = until.is_none_or(|until| record.created <= until);
            if !idle || !old || !filters.labels(&record.config.labels) {
                continue;
            }
            let upper = container.dir.join("upper");
            let size =
                crate::blocking::run(move || Ok(crate::system::directory_size(&upper))).await?;
            match self.remove_found(&container, false, false).await {
                Ok(()) => {
                    pruned.deleted.push(record.id.clone());
                    pruned.reclaimed += size;
                }
                // It was started or removed meanwhile.
                Err(Error::Conflict(_)) => {}
                // One that can't be removed must not keep the others.
                Err(error) => {
                    tracing::warn!(container = record.id, %error, "pruning it failed");
                }
            }
        }
        let reclaimed = BTreeMap::from([("reclaimed".into(), pruned.reclaimed.to_string())]);
        self.events
            .publish(Subject::Container, "prune", "", reclaimed);
        Ok(pruned)
    }
}
