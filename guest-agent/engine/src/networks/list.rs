//! `docker network ls` and `inspect`.

use std::sync::Arc;

use super::NetworkRecord;
use crate::filters::{Filters, matches_pattern};
use crate::{Engine, Error};

/// A network at one instant.
#[derive(Debug, Clone)]
pub struct NetworkSnapshot {
    /// The network.
    pub record: NetworkRecord,
    /// Running containers on it.
    pub members: Vec<Member>,
}

/// A running container on a network.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The id of its place.
    pub endpoint_id: String,
    /// Its place; nothing with `host` and `none`.
    pub endpoint: Option<network::Endpoint>,
}

impl Engine {
    /// Networks that pass the filters.
    pub async fn list_networks(
        self: &Arc<Self>,
        filters: &Filters,
    ) -> Result<Vec<NetworkSnapshot>, Error> {
        filters.accept_only(&["driver", "type", "name", "id", "label", "scope", "dangling"])?;
        let dangling = dangling(filters)?;
        // It is then that the default bridge has addresses.
        self.network().await?;
        let all: Vec<NetworkRecord> = self.networks.lock().values().cloned().collect();
        let mut found: Vec<NetworkSnapshot> = all
            .into_iter()
            .filter(|record| {
                let kind = if record.is_predefined() {
                    "builtin"
                } else {
                    "custom"
                };
                filters.any("name", |wanted| matches_pattern(wanted, &record.name))
                    && filters.any("id", |wanted| matches_pattern(wanted, &record.id))
                    && filters.any("driver", |wanted| wanted == record.driver)
                    && filters.any("scope", |wanted| wanted == record.scope())
                    && filters.any("type", |wanted| wanted == kind)
                    && filters.labels(&record.labels)
            })
            .map(|record| self.network_snapshot(record))
            .collect();
        if let Some(wanted) = dangling {
            found.retain(|network| {
                let unused = !network.record.is_predefined() && network.members.is_empty();
                unused == wanted
            });
        }
        if let Some(other) = filters
            .get("type")
            .iter()
            .find(|value| !matches!(value.as_str(), "builtin" | "custom"))
        {
            return Err(Error::System(format!("invalid filter: 'type'='{other}'")));
        }
        found.sort_by_key(|network| std::cmp::Reverse(network.record.created));
        Ok(found)
    }

    /// The network with that name, id or unique id prefix.
    pub async fn find_network(self: &Arc<Self>, name: &str) -> Result<NetworkSnapshot, Error> {
        self.network().await?;
        Ok(self.network_snapshot(self.networks.find(name)?))
    }

    pub(super) fn network_snapshot(&self, record: NetworkRecord) -> NetworkSnapshot {
        let members = self
            .all_containers()
            .iter()
            .filter_map(|container| {
                let inner = container.lock();
                let of = &inner.record;
                let attachment = of.networks.get(&record.name)?;
                (attachment.is_live() && attachment.network_id == record.id).then(|| Member {
                    id: of.id.clone(),
                    name: of.name.clone(),
                    endpoint_id: attachment.endpoint_id().to_owned(),
                    endpoint: attachment.endpoint.clone(),
                })
            })
            .collect();
        NetworkSnapshot { record, members }
    }
}

/// Networks have words of their own for this filter.
fn dangling(filters: &Filters) -> Result<Option<bool>, Error> {
    match filters.get("dangling") {
        [] => Ok(None),
        [one] => match one.as_str() {
            "1" | "true" => Ok(Some(true)),
            "0" | "false" => Ok(Some(false)),
            _ => Err(Error::Invalid(
                "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")"
                    .into(),
            )),
        },
        _ => Err(Error::Invalid(
            "got more than one value for filter key \"dangling\"".into(),
        )),
    }
}
