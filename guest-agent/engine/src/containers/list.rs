//! `docker ps`: which containers, in which order.

use std::sync::Arc;

use super::Snapshot;
use crate::filters::{Filters, matches_pattern};
use crate::{Engine, Error, blocking};

const FILTERS: &[&str] = &[
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

/// What a client wants to see.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Those that don't run too.
    pub all: bool,
    /// At most so many of the newest; 0 is no limit.
    pub limit: usize,
    /// Filters.
    pub filters: Filters,
}

impl Engine {
    /// The containers that match, the newest first.
    pub async fn list_containers(
        self: &Arc<Self>,
        request: ListRequest,
    ) -> Result<Vec<Snapshot>, Error> {
        let filters = &request.filters;
        filters.accept_only(FILTERS)?;
        for status in filters.get("status") {
            if ![
                "created",
                "running",
                "paused",
                "restarting",
                "removing",
                "exited",
                "dead",
            ]
            .contains(&status.as_str())
            {
                return Err(Error::Invalid(format!("invalid filter 'status={status}'")));
            }
        }
        for code in filters.get("exited") {
            if code.parse::<i32>().is_err() {
                return Err(Error::Invalid(format!("invalid filter 'exited={code}'")));
            }
        }
        let ancestors = self.ancestors(filters).await?;
        let before = self.boundary(filters, "before")?;
        let since = self.boundary(filters, "since")?;
        let mut found: Vec<Snapshot> = self
            .all_containers()
            .iter()
            .map(|container| container.snapshot())
            .collect();
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.record.created));
        let show_all = request.all
            || request.limit > 0
            || ["status", "exited", "before", "since"]
                .iter()
                .any(|f| filters.has(f));
        found.retain(|snapshot| {
            let record = &snapshot.record;
            (show_all || record.state.is_running())
                && before.is_none_or(|time| record.created < time)
                && since.is_none_or(|time| record.created > time)
                && ancestors
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&record.image))
                && matches(snapshot, filters)
        });
        if request.limit > 0 {
            found.truncate(request.limit);
        }
        Ok(found)
    }

    fn boundary(&self, filters: &Filters, name: &str) -> Result<Option<crate::time::Time>, Error> {
        match filters.get(name).last() {
            None => Ok(None),
            Some(wanted) => Ok(Some(self.container(wanted)?.lock().record.created)),
        }
    }

    /// Image ids that `ancestor` filters mean. Descendants by layers count as well.
    async fn ancestors(self: &Arc<Self>, filters: &Filters) -> Result<Option<Vec<String>>, Error> {
        if !filters.has("ancestor") {
            return Ok(None);
        }
        let wanted = filters.get("ancestor").to_vec();
        let engine = Arc::clone(self);
        blocking::run(move || {
            let store = engine.store()?;
            let roots: Vec<_> = wanted
                .iter()
                .filter_map(|name| store.resolve(name).ok())
                .collect();
            let ids = store
                .list()?
                .into_iter()
                .filter(|image| {
                    roots.iter().any(|root| {
                        image.id == root.id
                            || (!root.layers.is_empty() && image.layers.starts_with(&root.layers))
                    })
                })
                .map(|image| image.id.to_string())
                .chain(roots.iter().map(|root| root.id.to_string()))
                .collect();
            Ok(Some(ids))
        })
        .await
    }
}

fn matches(snapshot: &Snapshot, filters: &Filters) -> bool {
    let record = &snapshot.record;
    let with_protocol = |port: &str| {
        if port.contains('/') {
            port.to_owned()
        } else {
            format!("{port}/tcp")
        }
    };
    filters.any("id", |wanted| record.id.starts_with(wanted))
        && filters.any("name", |wanted| {
            matches_pattern(wanted, &record.name)
                || matches_pattern(wanted, &format!("/{}", record.name))
        })
        && filters.labels(&record.config.labels)
        && filters.any("status", |wanted| wanted == snapshot.status())
        && filters.any("exited", |wanted| {
            snapshot.status() == "exited" && wanted.parse() == Ok(record.exit_code)
        })
        && filters.any("health", |wanted| wanted == "none")
        && filters.any("is-task", |wanted| matches!(wanted, "false" | "0"))
        && filters.any("isolation", |wanted| matches!(wanted, "" | "default"))
        && filters.any("network", |wanted| {
            record.host_config.network_mode == wanted
                || record
                    .endpoint
                    .as_ref()
                    .is_some_and(|endpoint| endpoint.network_id.starts_with(wanted))
        })
        && filters.any("volume", |wanted| {
            record
                .mounts
                .iter()
                .any(|m| m.name == wanted || m.source == wanted || m.destination == wanted)
        })
        && filters.any("expose", |wanted| {
            record
                .config
                .exposed_ports
                .contains_key(&with_protocol(wanted))
        })
        && filters.any("publish", |wanted| {
            record
                .host_config
                .port_bindings
                .contains_key(&with_protocol(wanted))
        })
}
