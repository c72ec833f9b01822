//! `GET /containers/json`.

use std::sync::Arc;

use axum::extract::State;
use engine::containers::{ListRequest, MountPoint, Record, Snapshot};
use engine::{ContainerSize, Engine};
use serde_json::{Map, Value, json};

use super::inspect;
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
    let mut summaries = Vec::with_capacity(found.len());
    for snapshot in &found {
        let size = if query.flag("size") {
            Some(engine.container_size(snapshot).await?)
        } else {
            None
        };
        summaries.push(summary(snapshot, version, size));
    }
    Ok(reply::ok(&summaries))
}

/// One element of the list.
pub(crate) fn summary(
    snapshot: &Snapshot,
    version: ApiVersion,
    size: Option<ContainerSize>,
) -> Value {
    let record = &snapshot.record;
    let ports = ports(record);
    let names: Vec<String> = std::iter::once(format!("/{}", record.name))
        .chain(snapshot.link_names.iter().cloned())
        .collect();
    let mut host = Map::new();
    host.insert("NetworkMode".into(), json!(record.host_config.network_mode));
    if version.at_least(46) && !record.host_config.annotations.is_empty() {
        host.insert("Annotations".into(), json!(record.host_config.annotations));
    }
    let mut summary = json!({
        "Id": record.id,
        "Names": names,
        "Image": record.config.image,
        "ImageID": record.image,
        "Command": snapshot.command_text(),
        "Created": record.created.unix(),
        "Ports": ports,
        "Labels": record.config.labels,
        "State": snapshot.status(),
        "Status": snapshot.status_text(),
        "HostConfig": host,
        "NetworkSettings": { "Networks": inspect::listed_networks(record) },
        "Mounts": record.listed_mounts().map(mount).collect::<Vec<_>>(),
    });
    if let Some(size) = size {
        // Go leaves zeros out here.
        for (key, bytes) in [("SizeRw", size.own), ("SizeRootFs", size.all)] {
            if bytes > 0 {
                summary[key] = json!(bytes);
            }
        }
    }
    summary
}

/// Exposed and published ports.
fn ports(record: &Record) -> Vec<Value> {
    if record.state.pid().is_none() {
        return Vec::new();
    }
    let key = |key: &str| {
        let (number, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        (number.parse::<u16>().unwrap_or(0), protocol.to_owned())
    };
    let mut ports: Vec<Value> = Vec::new();
    for (name, bound) in &record.ports {
        let (private, protocol) = key(name);
        for one in bound {
            let mut port = json!({
                "IP": one.host_ip,
                "PrivatePort": private,
                "Type": protocol,
            });
            if let Ok(public) = one.host_port.parse::<u16>() {
                port["PublicPort"] = json!(public);
            }
            ports.push(port);
        }
    }
    let exposed = record.config.exposed_ports.keys();
    for name in exposed.filter(|name| !record.ports.contains_key(*name)) {
        let (private, protocol) = key(name);
        ports.push(json!({ "PrivatePort": private, "Type": protocol }));
    }
    ports.sort_by_key(|port| port["PrivatePort"].as_u64());
    ports
}

/// A mount as list and inspect show it.
pub(crate) fn mount(point: &MountPoint) -> Value {
    let mut mount = Map::new();
    mount.insert("Type".into(), json!(point.kind));
    if !point.name.is_empty() {
        mount.insert("Name".into(), json!(point.name));
    }
    mount.insert("Source".into(), json!(point.source));
    mount.insert("Destination".into(), json!(point.destination));
    if point.kind == "volume" {
        mount.insert("Driver".into(), json!("local"));
    }
    mount.insert("Mode".into(), json!(point.mode));
    mount.insert("RW".into(), json!(point.rw));
    mount.insert("Propagation".into(), json!(point.propagation));
    Value::Object(mount)
}
