//! `docker network rm` and `prune`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::NetworkRecord;
use crate::events::Subject;
use crate::filters::Filters;
use crate::{Engine, Error, blocking, ids};

impl Engine {
    /// Removes a network that no running container is on.
    pub async fn remove_network(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        let record = self.networks.find(name)?;
        if record.is_predefined() {
            return Err(Error::Forbidden(format!(
                "{} is a pre-defined network and cannot be removed",
                record.name
            )));
        }
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            let _alone = engine.networks.changing.lock().await;
            engine.remove_found_network(record).await
        })
        .await
    }

    async fn remove_found_network(self: &Arc<Self>, record: NetworkRecord) -> Result<(), Error> {
        let members: Vec<String> = self
            .network_snapshot(record.clone())
            .members
            .iter()
            .map(|member| {
                let id = ids::short(&member.endpoint_id);
                format!("name:\"{}\" id:\"{id}\"", member.name)
            })
            .collect();
        let follows = |other: &NetworkRecord| other.config_from == record.name;
        if record.config_only && self.networks.lock().values().any(follows) {
            return Err(Error::Forbidden(format!(
                "error while removing network: configuration network \"{}\" is in use",
                record.name
            )));
        }
        let network = self.network().await?;
        if !members.is_empty() || !network.is_unused(&record.id) {
            return Err(Error::Forbidden(format!(
                "error while removing network: network {} has active endpoints ({})",
                record.name,
                members.join(", ")
            )));
        }
        let engine = Arc::clone(self);
        blocking::run(move || {
            network.down(&record.id)?;
            engine.networks.forget(&record.id)?;
            // As with dockerd, patterns go silently.
            if !record.config_only {
                engine.network_event(&record, "destroy", None);
            }
            Ok(())
        })
        .await
    }

    /// Removes networks that no container is on; returns their names.
    pub async fn prune_networks(self: &Arc<Self>, filters: &Filters) -> Result<Vec<String>, Error> {
        filters.accept_only(&["label", "label!", "until"])?;
        let until = filters.until()?;
        let _only_one = self.only_prune()?;
        let all: Vec<NetworkRecord> = self.networks.lock().values().cloned().collect();
        let mut gone = Vec::new();
        for record in all {
            let old = until.is_none_or(|until| record.created <= until);
            let used = self.all_containers().iter().any(|container| {
                let inner = container.lock();
                inner.record.networks.contains_key(&record.name)
            });
            if record.is_predefined()
                || record.config_only
                || used
                || !old
                || !filters.labels(&record.labels)
            {
                continue;
            }
            let _alone = self.networks.changing.lock().await;
            let name = record.name.clone();
            match self.remove_found_network(record).await {
                Ok(()) => gone.push(name),
                Err(Error::Forbidden(_)) => {}
                Err(error) => tracing::warn!(network = name, %error, "pruning it failed"),
            }
        }
        let reclaimed = BTreeMap::from([("reclaimed".into(), "0".into())]);
        self.events
            .publish(Subject::Network, "prune", "", reclaimed);
        Ok(gone)
    }
}
