//! `GET /containers/{name}/json` and `/top`.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, State};
use engine::Engine;
use engine::containers::{Record, Snapshot, State as Life};
use serde_json::{Map, Value, json};

use super::endpoints::{self, Endpoint};
use super::list;
use crate::error::Result;
use crate::query::Query;
use crate::reply;
use crate::version::ApiVersion;

/// `GET /containers/{name}/json`.
pub(crate) async fn inspect(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    version: ApiVersion,
    query: Query,
) -> Result {
    let snapshot = engine.inspect_container(&name)?;
    let mut value = render(&engine, &snapshot, version);
    if query.flag("size") {
        let size = engine.container_size(&snapshot).await?;
        value["SizeRw"] = json!(size.own);
        value["SizeRootFs"] = json!(size.all);
    }
    Ok(reply::ok(&value))
}

/// `GET /containers/{parent}/{alias}/json`: a container by the name that another one has for it.
pub(crate) async fn inspect_by_link(
    engine: State<Arc<Engine>>,
    Path((parent, alias)): Path<(String, String)>,
    version: ApiVersion,
    query: Query,
) -> Result {
    let id = engine.linked_container(&parent, &alias)?;
    inspect(engine, Path(id), version, query).await
}

/// `GET /containers/{name}/top`.
pub(crate) async fn top(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    query: Query,
) -> Result {
    let table = engine.top_container(&name, query.text("ps_args")).await?;
    Ok(reply::ok(
        &json!({ "Titles": table.titles, "Processes": table.processes }),
    ))
}

fn render(engine: &Engine, snapshot: &Snapshot, version: ApiVersion) -> Value {
    let record = &snapshot.record;
    let (path, args) = snapshot.path_and_args();
    let shown = |path: Option<PathBuf>| path.map_or(String::new(), |p| p.display().to_string());
    let file = |name: &str| shown(snapshot.names_path(name));
    let execs = if snapshot.exec_ids.is_empty() {
        json!(null)
    } else {
        json!(snapshot.exec_ids)
    };
    json!({
        "Id": record.id,
        "Created": record.created,
        "Path": path,
        "Args": args,
        "State": state(snapshot),
        "Image": record.image,
        "ResolvConfPath": file("resolv.conf"),
        "HostnamePath": file("hostname"),
        "HostsPath": file("hosts"),
        "LogPath": shown(snapshot.log_path()),
        "Name": format!("/{}", record.name),
        "RestartCount": record.restart_count,
        "Driver": "overlay2",
        "Platform": record.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs,
        "HostConfig": host_config(record),
        "GraphDriver": {
            "Data": {
                "ID": record.id,
                "MergedDir": snapshot.dir.join("rootfs").display().to_string(),
                "UpperDir": snapshot.dir.join("upper").display().to_string(),
                "WorkDir": snapshot.dir.join("work").display().to_string(),
            },
            "Name": "overlay2",
        },
        "Mounts": list::mounts(record),
        "Config": config(record),
        "NetworkSettings": network_settings(engine, record, version),
    })
}

/// The portable half; the old field has the hardware address of the first network.
fn config(record: &Record) -> Value {
    let mut config = json!(record.config);
    let first = record.networks.get(&record.host_config.network_mode);
    if let Some(address) = first.map(|first| &first.settings.mac_address)
        && !address.is_empty()
    {
        config["MacAddress"] = json!(address);
    }
    config
}

/// The machine's half. What the kernel can't do is taken out of it with the first start, Docker's own
/// default too.
fn host_config(record: &Record) -> Value {
    let mut host = json!(record.host_config);
    if record.started_at.is_zero() {
        host["OomKillDisable"] = json!(false);
    }
    host
}

fn state(snapshot: &Snapshot) -> Value {
    let record = &snapshot.record;
    let life = record.state;
    let mut state = json!({
        "Status": snapshot.status(),
        "Running": life.is_running(),
        "Paused": matches!(life, Life::Paused { .. }),
        "Restarting": life.is_restarting(),
        "OOMKilled": record.oom_killed,
        "Dead": life == Life::Dead,
        "Pid": life.pid().unwrap_or(0),
        "ExitCode": record.exit_code,
        "Error": record.error,
        "StartedAt": record.started_at,
        "FinishedAt": record.finished_at,
    });
    if let Some(health) = &record.health {
        state["Health"] = json!(health);
    }
    state
}

/// Ports by their key: exposed ones, and where they are published.
fn ports(record: &Record) -> Map<String, Value> {
    if record.state.pid().is_none() || !engine::has_way_in(record) {
        return Map::new();
    }
    let exposed = record.config.exposed_ports.keys();
    let exposed = exposed.map(|key| (engine::port_key(key), Value::Null));
    let mut ports: Map<String, Value> = exposed.collect();
    for (key, bound) in &record.ports {
        ports.insert(key.clone(), json!(bound));
    }
    ports
}

fn network_settings(engine: &Engine, record: &Record, version: ApiVersion) -> Value {
    // The old fields tell of the default bridge alone.
    let bridge = record.networks.get("bridge");
    let old = bridge.map(|bridge| Endpoint::new(record, "bridge", bridge));
    let old = old.unwrap_or_default();
    let sandbox = engine.sandbox_key(record);
    json!({
        "Bridge": "",
        "SandboxID": if sandbox.is_empty() { "" } else { &record.id },
        "SandboxKey": sandbox,
        "Ports": ports(record),
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": old.endpoint_id,
        "Gateway": old.gateway,
        "GlobalIPv6Address": old.global_ipv6_address,
        "GlobalIPv6PrefixLen": old.global_ipv6_prefix_len,
        "IPAddress": old.ip_address,
        "IPPrefixLen": old.ip_prefix_len,
        "IPv6Gateway": old.ipv6_gateway,
        "MacAddress": old.mac_address,
        "Networks": endpoints::all(record, version),
    })
}
