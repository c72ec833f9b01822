//! `docker ps`: which containers, in which order.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
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
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

const STATES: &[&str] = &[
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
];

const HEALTHS: &[&str] = &["none", "starting", "healthy", "unhealthy"];

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
        one_of(filters, "status", "state", STATES)?;
        one_of(filters, "health", "health", HEALTHS)?;
        for code in filters.get("exited") {
            if code.parse::<i32>().is_err() {
                return Err(Error::Invalid(format!(
                    "invalid filter 'exited={code}': strconv.Atoi: parsing \"{code}\": invalid syntax"
                )));
            }
        }
        for key in ["publish", "expose"] {
            for value in filters.get(key) {
                ports(key, value)?;
            }
        }
        let task = filters.flag("is-task")?;
        let ancestors = self.ancestors(filters).await?;
        let before = self.boundary(filters, "before")?;
        let since = self.boundary(filters, "since")?;
        let mut found: Vec<Snapshot> = self
            .all_containers()
            .iter()
            .map(|container| container.snapshot())
            .collect();
        Self::name_links(&mut found);
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.record.created));
        let show_all = request.all || request.limit > 0 || filters.has("status");
        found.retain(|snapshot| {
            let record = &snapshot.record;
            (show_all || record.state.is_running())
                && before.is_none_or(|time| record.created < time)
                && since.is_none_or(|time| record.created > time)
                && ancestors
                    .as_ref()
                    .is_none_or(|ids| ids.contains(&record.image))
                && task != Some(true)
                && matches(snapshot, filters)
        });
        if request.limit > 0 {
            found.truncate(request.limit);
        }
        let engine = Arc::clone(self);
        blocking::run(move || {
            engine.refresh_images(&mut found)?;
            Ok(found)
        })
        .await
    }

    /// A name that means another image by now, or none, gives way to the image's id.
    pub(crate) fn refresh_images(&self, found: &mut [Snapshot]) -> Result<(), Error> {
        let store = self.store()?;
        let mut known: HashMap<String, Option<String>> = HashMap::new();
        for snapshot in found {
            let name = &snapshot.record.config.image;
            let now = known
                .entry(name.clone())
                .or_insert_with(|| Some(store.resolve(name).ok()?.id.to_string()));
            if now.as_ref() != Some(&snapshot.record.image) {
                let record = &mut *snapshot.record;
                record.config.image.clone_from(&record.image);
            }
        }
        Ok(())
    }

    fn boundary(&self, filters: &Filters, name: &str) -> Result<Option<crate::time::Time>, Error> {
        match filters.get(name).last() {
            None => Ok(None),
            Some(wanted) => Ok(Some(self.container(wanted)?.lock().record.created)),
        }
    }

    /// Image ids that `ancestor` filters mean: the images themselves and what was made from them
    /// here. What came from elsewhere has no known parents, with Docker neither.
    async fn ancestors(
        self: &Arc<Self>,
        filters: &Filters,
    ) -> Result<Option<HashSet<String>>, Error> {
        if !filters.has("ancestor") {
            return Ok(None);
        }
        let wanted = filters.get("ancestor").to_vec();
        let engine = Arc::clone(self);
        blocking::run(move || {
            let store = engine.store()?;
            let images = store.list()?;
            let roots = wanted.iter().filter_map(|name| store.resolve(name).ok());
            let mut next: Vec<_> = roots.map(|image| image.id).collect();
            let mut found = HashSet::new();
            while let Some(id) = next.pop() {
                if found.insert(id.to_string()) {
                    let children = images.iter().filter(|image| image.parent == Some(id));
                    next.extend(children.map(|image| image.id));
                }
            }
            Ok(Some(found))
        })
        .await
    }
}

fn matches(snapshot: &Snapshot, filters: &Filters) -> bool {
    let record = &snapshot.record;
    filters.any("id", |wanted| record.id.starts_with(wanted))
        && filters.any("name", |wanted| {
            matches_pattern(wanted, &record.name)
                || matches_pattern(wanted, &format!("/{}", record.name))
        })
        && filters.labels(&record.config.labels)
        && filters.any("status", |wanted| wanted == snapshot.status())
        && filters.any("exited", |wanted| {
            !record.state.is_running()
                && !record.started_at.is_zero()
                && wanted.parse() == Ok(record.exit_code)
        })
        && filters.any("health", |wanted| {
            wanted
                == record
                    .health
                    .as_ref()
                    .map_or("none", |health| health.status.name())
        })
        && filters.any("isolation", |wanted| matches!(wanted, "" | "default"))
        && filters.any("network", |wanted| {
            record.networks.iter().any(|(name, attachment)| {
                name == wanted
                    || (!attachment.network_id.is_empty()
                        && attachment.network_id.starts_with(wanted))
            })
        })
        && filters.any("volume", |wanted| {
            record
                .mounts
                .iter()
                .any(|m| m.name == wanted || m.source == wanted || m.destination == wanted)
        })
        && filters.any("expose", |wanted| {
            let exposed = &record.config.exposed_ports;
            record.state.pid().is_some()
                && any_port("expose", wanted, |port| exposed.contains_key(port))
        })
        && filters.any("publish", |wanted| {
            // The host's ports, with the protocol of the container's.
            let open: Vec<String> = record
                .ports
                .iter()
                .flat_map(|(key, bound)| {
                    let (_, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
                    bound
                        .iter()
                        .map(move |one| format!("{}/{protocol}", one.host_port))
                })
                .collect();
            record.state.pid().is_some()
                && any_port("publish", wanted, |port| open.iter().any(|one| one == port))
        })
}

/// Every value of a filter must be a word that Docker knows.
fn one_of(filters: &Filters, name: &str, what: &str, known: &[&str]) -> Result<(), Error> {
    match filters
        .get(name)
        .iter()
        .find(|value| !known.contains(&value.as_str()))
    {
        None => Ok(()),
        Some(value) => Err(Error::Invalid(format!(
            "invalid filter '{name}={value}': invalid value for {what} ({value}): must be one of {}",
            known.join(", ")
        ))),
    }
}

/// The ports and the protocol of `80`, `80/udp` or `8000-8010/tcp`.
fn ports<'a>(key: &str, value: &'a str) -> Result<(RangeInclusive<u16>, &'a str), Error> {
    if value.contains(':') {
        return Err(Error::System(format!(
            "filter for '{key}' should not contain ':': {value}"
        )));
    }
    let (range, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse(), last.parse(), protocol) {
        (Ok(first), Ok(last), "tcp" | "udp" | "sctp") if first <= last => {
            Ok((first..=last, protocol))
        }
        (Ok(first), Ok(last), _) if first > last => Err(Error::System(format!(
            "error while looking up for {key} {value}: Invalid range specified for the Port: {range}"
        ))),
        (Err(_), ..) => Err(Error::System(format!(
            "error while looking up for {key} {value}: strconv.ParseUint: parsing \"{first}\": invalid syntax"
        ))),
        _ => Err(Error::System(format!(
            "error while looking up for {key} {value}: invalid port '{value}'"
        ))),
    }
}

fn any_port(key: &str, value: &str, test: impl Fn(&str) -> bool) -> bool {
    ports(key, value)
        .is_ok_and(|(mut range, protocol)| range.any(|port| test(&format!("{port}/{protocol}"))))
}
