//! `GET /containers/{name}/json` and `/top`.

use std::sync::Arc;

use axum::extract::{Path, State};
use engine::Engine;
use engine::containers::{Record, Snapshot, State as Life};
use serde_json::{Map, Value, json};

use super::list;
use crate::error::Result;
use crate::query::Query;
use crate::reply;

/// `GET /containers/{name}/json`.
pub(crate) async fn inspect(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    query: Query,
) -> Result {
    let snapshot = engine.inspect_container(&name)?;
    let mut value = render(&snapshot);
    if query.flag("size") {
        let size = engine.container_size(&snapshot).await?;
        value["SizeRw"] = json!(size.own);
        value["SizeRootFs"] = json!(size.all);
    }
    Ok(reply::ok(&value))
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

fn render(snapshot: &Snapshot) -> Value {
    let record = &snapshot.record;
    let (path, args) = snapshot.path_and_args();
    let file = |name: &str| {
        if record.started_at.is_zero() {
            String::new()
        } else {
            snapshot.dir.join(name).display().to_string()
        }
    };
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
        "LogPath": snapshot.log_path().map_or(String::new(), |path| path.display().to_string()),
        "Name": format!("/{}", record.name),
        "RestartCount": record.restart_count,
        "Driver": "overlay2",
        "Platform": record.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs,
        "HostConfig": record.host_config,
        "GraphDriver": {
            "Data": {
                "ID": record.id,
                "MergedDir": snapshot.dir.join("rootfs").display().to_string(),
                "UpperDir": snapshot.dir.join("upper").display().to_string(),
                "WorkDir": snapshot.dir.join("work").display().to_string(),
            },
            "Name": "overlay2",
        },
        "Mounts": record.mounts.iter().map(list::mount).collect::<Vec<_>>(),
        "Config": record.config,
        "NetworkSettings": network_settings(record),
    })
}

fn state(snapshot: &Snapshot) -> Value {
    let record = &snapshot.record;
    let life = record.state;
    let mut state = json!({
        "Status": snapshot.status(),
        "Running": life.is_running(),
        "Paused": matches!(life, Life::Paused { .. }),
        "Restarting": life == Life::Restarting,
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

/// The networks that the container is on, by name.
pub(crate) fn networks(record: &Record) -> Value {
    let mode = record.host_config.network_mode.as_str();
    let mut networks = Map::new();
    if !mode.starts_with("container:") {
        let endpoint = record.endpoint.as_ref();
        networks.insert(
            mode.to_owned(),
            json!({
                "IPAMConfig": null,
                "Links": null,
                "Aliases": null,
                "MacAddress": endpoint.map_or("", |e| &e.mac),
                "DriverOpts": null,
                "GwPriority": 0,
                "NetworkID": endpoint.map_or("", |e| &e.network_id),
                "EndpointID": endpoint.map_or("", |e| &e.endpoint_id),
                "Gateway": endpoint.map_or(String::new(), |e| e.gateway.to_string()),
                "IPAddress": endpoint.map_or(String::new(), |e| e.ip.to_string()),
                "IPPrefixLen": endpoint.map_or(0, |e| e.prefix_len),
                "IPv6Gateway": "",
                "GlobalIPv6Address": "",
                "GlobalIPv6PrefixLen": 0,
                "DNSNames": null,
            }),
        );
    }
    Value::Object(networks)
}

fn network_settings(record: &Record) -> Value {
    let endpoint = record.endpoint.as_ref();
    let ports: Map<String, Value> = record
        .config
        .exposed_ports
        .keys()
        .filter(|_| record.state.pid().is_some())
        .map(|port| (port.clone(), Value::Null))
        .collect();
    let sandbox = endpoint.map_or(String::new(), |e| e.netns.display().to_string());
    json!({
        "Bridge": "",
        "SandboxID": endpoint.map_or("", |_| record.id.as_str()),
        "SandboxKey": sandbox,
        "Ports": ports,
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": endpoint.map_or("", |e| &e.endpoint_id),
        "Gateway": endpoint.map_or(String::new(), |e| e.gateway.to_string()),
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": endpoint.map_or(String::new(), |e| e.ip.to_string()),
        "IPPrefixLen": endpoint.map_or(0, |e| e.prefix_len),
        "IPv6Gateway": "",
        "MacAddress": endpoint.map_or("", |e| &e.mac),
        "Networks": networks(record),
    })
}
