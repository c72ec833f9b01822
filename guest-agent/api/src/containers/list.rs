//! `GET /containers/json`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use engine::containers::{ListRequest, MountPoint, Record, Snapshot};
use engine::{ContainerSize, Engine};
use serde::Serialize;

use super::endpoints::{self, Endpoint};
use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::reply;
use crate::version::ApiVersion;

/// `GET /containers/json`.
pub(crate) async fn list(
    State(engine): State<Arc<Engine>>,
    version: ApiVersion,
    query: Query,
) -> Result {
    // Docker answers this one with 500.
    let limit = query
        .number("limit")
        .map_err(ApiError::system)?
        .unwrap_or(0);
    let found = engine
        .list_containers(ListRequest {
            all: query.flag("all"),
            limit: usize::try_from(limit).unwrap_or(0),
            filters: query.filters()?,
        })
        .await?;
    let sized = query.flag("size");
    let mut summaries = Vec::with_capacity(found.len());
    for snapshot in &found {
        let size = match sized {
            true => Some(engine.container_size(snapshot).await?),
            false => None,
        };
        summaries.push(summary(snapshot, version, size));
    }
    Ok(reply::ok(&summaries))
}

/// One element of the list. Go leaves sizes of zero out.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Summary<'a> {
    id: &'a str,
    names: Vec<String>,
    image: &'a str,
    #[serde(rename = "ImageID")]
    image_id: &'a str,
    command: String,
    created: i64,
    ports: Vec<Port<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_root_fs: Option<u64>,
    labels: &'a BTreeMap<String, String>,
    state: &'static str,
    status: String,
    host_config: Host<'a>,
    network_settings: NetworkSettings<'a>,
    mounts: Vec<Mount<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Host<'a> {
    network_mode: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings<'a> {
    networks: BTreeMap<&'a str, Endpoint<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Port<'a> {
    #[serde(rename = "IP", skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
    private_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_port: Option<u16>,
    #[serde(rename = "Type")]
    protocol: String,
}

/// A mount as list and inspect show it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Mount<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    source: &'a str,
    destination: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<&'a str>,
    mode: &'a str,
    #[serde(rename = "RW")]
    rw: bool,
    propagation: &'a str,
}

/// One element of the list.
pub(crate) fn summary(
    snapshot: &Snapshot,
    version: ApiVersion,
    size: Option<ContainerSize>,
) -> Summary<'_> {
    let record = &snapshot.record;
    let annotations = &record.host_config.annotations;
    let told = |bytes: fn(ContainerSize) -> u64| size.map(bytes).filter(|bytes| *bytes > 0);
    Summary {
        id: &record.id,
        names: std::iter::once(format!("/{}", record.name))
            .chain(snapshot.link_names.iter().cloned())
            .collect(),
        image: &record.config.image,
        image_id: &record.image,
        command: snapshot.command_text(),
        created: record.created.unix(),
        ports: ports(record),
        size_rw: told(|size| size.own),
        size_root_fs: told(|size| size.all),
        labels: &record.config.labels,
        state: snapshot.status(),
        status: snapshot.status_text(),
        host_config: Host {
            network_mode: &record.host_config.network_mode,
            annotations: (version.at_least(46) && !annotations.is_empty()).then_some(annotations),
        },
        network_settings: NetworkSettings {
            networks: endpoints::listed(record),
        },
        mounts: listed_mounts(record),
    }
}

/// Exposed and published ports.
fn ports(record: &Record) -> Vec<Port<'_>> {
    if record.state.pid().is_none() || !engine::has_way_in(record) {
        return Vec::new();
    }
    let port = |key: &str| {
        let (number, protocol) = str::split_once(key, '/').unwrap_or((key, "tcp"));
        Port {
            ip: None,
            private_port: number.parse().unwrap_or(0),
            public_port: None,
            protocol: protocol.to_owned(),
        }
    };
    let published = record.ports.iter().flat_map(|(name, bound)| {
        bound.iter().map(move |one| Port {
            ip: Some(&one.host_ip),
            public_port: one.host_port.parse().ok(),
            ..port(name)
        })
    });
    let exposed = record.config.exposed_ports.keys();
    let exposed: BTreeSet<String> = exposed.map(|key| engine::port_key(key)).collect();
    let exposed = exposed.iter();
    let exposed = exposed.filter(|key| !record.ports.contains_key(*key));
    let mut ports: Vec<Port<'_>> = published.chain(exposed.map(|key| port(key))).collect();
    ports.sort_by_key(|port| port.private_port);
    ports
}

/// The mounts as list and inspect show them.
pub(crate) fn mounts(record: &Record) -> Vec<Mount<'_>> {
    record.listed_mounts().map(mount).collect()
}

/// The same in a list. Docker's does not know where a volume is that only the configuration asks for.
fn listed_mounts(record: &Record) -> Vec<Mount<'_>> {
    let placeless = |point: &MountPoint| point.anonymous && point.mode.is_empty();
    let listed = |point| match placeless(point) {
        true => Mount {
            source: "",
            ..mount(point)
        },
        false => mount(point),
    };
    record.listed_mounts().map(listed).collect()
}

fn mount(point: &MountPoint) -> Mount<'_> {
    Mount {
        kind: &point.kind,
        name: &point.name,
        source: &point.source,
        destination: &point.destination,
        driver: (point.kind == "volume").then_some("local"),
        mode: &point.mode,
        rw: point.rw,
        propagation: &point.propagation,
    }
}
