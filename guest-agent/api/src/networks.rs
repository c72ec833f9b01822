//! `/networks`: the three networks that every Docker has.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use engine::{Engine, NetworkKind, NetworkSnapshot};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::reply;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/networks", get(list))
        .route("/networks/{id}", get(inspect).delete(remove))
}

async fn list(State(engine): State<Arc<Engine>>, query: Query) -> Result {
    let filters = query.filters()?;
    filters.accept_only(&["driver", "type", "name", "id", "label", "scope", "dangling"])?;
    let dangling = filters.flag("dangling")?;
    let networks: Vec<Value> = engine
        .list_networks()
        .await?
        .iter()
        .filter(|n| {
            filters.any("name", |wanted| n.kind.name().contains(wanted))
                && filters.any("id", |wanted| n.id.starts_with(wanted))
                && filters.any("driver", |wanted| n.kind.driver() == wanted)
                && filters.any("scope", |wanted| wanted == "local")
                && filters.any("type", |wanted| wanted == "builtin")
                && !filters.has("label")
                && dangling != Some(true)
        })
        // The list leaves the containers out.
        .map(|n| render(n, false))
        .collect();
    Ok(reply::ok(&networks))
}

async fn inspect(State(engine): State<Arc<Engine>>, Path(id): Path<String>) -> Result {
    Ok(reply::ok(&render(&engine.find_network(&id).await?, true)))
}

async fn remove(State(engine): State<Arc<Engine>>, Path(id): Path<String>) -> Result {
    let network = engine.find_network(&id).await?;
    Err(ApiError {
        status: StatusCode::FORBIDDEN,
        message: format!(
            "{} is a pre-defined network and cannot be removed",
            network.kind.name()
        ),
    })
}

fn render(network: &NetworkSnapshot, with_containers: bool) -> Value {
    let mut containers = Map::new();
    if with_containers {
        for container in &network.containers {
            let record = &container.record;
            let endpoint = record.endpoint.as_ref();
            containers.insert(
                record.id.clone(),
                json!({
                    "Name": record.name,
                    "EndpointID": endpoint.map_or("", |e| &e.endpoint_id),
                    "MacAddress": endpoint.map_or("", |e| &e.mac),
                    "IPv4Address": endpoint
                        .map_or(String::new(), |e| format!("{}/{}", e.ip, e.prefix_len)),
                    "IPv6Address": "",
                }),
            );
        }
    }
    let (config, options) = match &network.bridge {
        Some(info) => (
            json!([{ "Subnet": info.subnet.to_string(), "Gateway": info.gateway.to_string() }]),
            json!({
                "com.docker.network.bridge.default_bridge": "true",
                "com.docker.network.bridge.enable_icc": "true",
                "com.docker.network.bridge.enable_ip_masquerade": "true",
                "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
                "com.docker.network.bridge.name": info.bridge,
                "com.docker.network.driver.mtu": info.mtu.to_string(),
            }),
        ),
        None => (json!(null), json!({})),
    };
    json!({
        "Name": network.kind.name(),
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.kind.driver(),
        "EnableIPv4": true,
        "EnableIPv6": false,
        "IPAM": {
            "Driver": "default",
            "Options": null,
            "Config": if network.kind == NetworkKind::Bridge { config } else { json!(null) },
        },
        "Internal": false,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": { "Network": "" },
        "ConfigOnly": false,
        "Containers": containers,
        "Options": options,
        "Labels": {},
    })
}
