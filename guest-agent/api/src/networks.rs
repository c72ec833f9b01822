//! `/networks`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use engine::{
    ConnectRequest, EndpointSettings, Engine, Ipam, NetworkRequest, NetworkSnapshot, SubnetSettings,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::routes::{Routes, to};
use crate::version::ApiVersion;
use crate::{body, reply};

/// Adds the routes.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .route("/networks", get(to(list)))
        .route("/networks/", get(to(list)))
        .route("/networks/create", post(to(create)))
        .route("/networks/prune", post(to(prune)))
        .route("/networks/{id}", get(to(inspect)).delete(to(remove)))
        .route(
            "/slipway/networks/subnets",
            get(to(subnets)).put(to(set_subnets)),
        )
        .route("/networks/{id}/connect", post(to(connect)))
        .route("/networks/{id}/disconnect", post(to(disconnect)))
}

async fn subnets(State(engine): State<Arc<Engine>>) -> Result {
    Ok(reply::ok(&engine.subnet_settings()?))
}

async fn set_subnets(State(engine): State<Arc<Engine>>, request: Request) -> Result {
    let value = body::value(request).await?.unwrap_or_else(|| json!({}));
    let settings: SubnetSettings = serde_json::from_value(value)
        .map_err(|error| ApiError::invalid(format!("invalid settings: {error}")))?;
    engine.set_subnet_settings(settings.clone()).await?;
    Ok(reply::ok(&settings))
}

/// Docker's body of a create.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename = "CreateRequest", rename_all = "PascalCase")]
struct Create {
    name: String,
    driver: String,
    scope: String,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: Option<bool>,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: Option<bool>,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_only: bool,
    config_from: ConfigFrom,
    labels: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
    #[serde(rename = "IPAM")]
    ipam: Ipam,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ConfigFrom {
    network: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Connect {
    container: String,
    endpoint_config: EndpointSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Disconnect {
    container: String,
    force: bool,
}

async fn create(
    State(engine): State<Arc<Engine>>,
    version: ApiVersion,
    request: Request,
) -> Result {
    let wanted: Create = body::json(request).await?;
    let id = engine
        .create_network(NetworkRequest {
            name: wanted.name,
            driver: wanted.driver,
            scope: wanted.scope,
            ingress: wanted.ingress,
            enable_ipv4: wanted.enable_ipv4.filter(|_| version.at_least(48)),
            enable_ipv6: wanted.enable_ipv6,
            internal: wanted.internal,
            attachable: wanted.attachable,
            config_only: wanted.config_only,
            config_from: wanted.config_from.network,
            labels: wanted.labels,
            options: wanted.options,
            ipam: wanted.ipam,
        })
        .await?;
    Ok(reply::json(
        StatusCode::CREATED,
        &json!({ "Id": id, "Warning": "" }),
    ))
}

async fn list(State(engine): State<Arc<Engine>>, version: ApiVersion, query: Query) -> Result {
    let networks = engine.list_networks(&query.filters()?).await?;
    // Since 1.28 the list leaves the containers out.
    let containers = !version.at_least(28);
    let networks: Vec<Value> = networks.iter().map(|n| render(n, containers)).collect();
    Ok(reply::ok(&networks))
}

async fn inspect(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    query: Query,
) -> Result {
    let verbose = query.text("verbose");
    if !verbose.is_empty() {
        engine::go_bool(verbose).map_err(|why| {
            ApiError::invalid(format!("invalid value for verbose: {verbose}: {why}"))
        })?;
    }
    let network = engine.find_network(&id).await?;
    match query.text("scope") {
        "" => {}
        scope if scope == network.record.scope() => {}
        _ => return Err(engine::Error::NotFound(format!("network {id} not found")).into()),
    }
    Ok(reply::ok(&render(&network, true)))
}

async fn remove(State(engine): State<Arc<Engine>>, Path(id): Path<String>) -> Result {
    engine.remove_network(&id).await?;
    Ok(reply::nothing())
}

async fn prune(State(engine): State<Arc<Engine>>, query: Query) -> Result {
    let gone = engine.prune_networks(&query.filters()?).await?;
    let gone = if gone.is_empty() {
        Value::Null
    } else {
        json!(gone)
    };
    Ok(reply::ok(&json!({ "NetworksDeleted": gone })))
}

async fn connect(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    request: Request,
) -> Result {
    let wanted: Connect = body::json(request).await?;
    let request = ConnectRequest {
        container: wanted.container,
        settings: wanted.endpoint_config,
    };
    engine.connect_network(&id, request).await?;
    Ok(StatusCode::OK.into_response())
}

async fn disconnect(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    request: Request,
) -> Result {
    let wanted: Disconnect = body::json(request).await?;
    engine
        .disconnect_network(&id, &wanted.container, wanted.force)
        .await?;
    Ok(StatusCode::OK.into_response())
}

fn render(network: &NetworkSnapshot, with_containers: bool) -> Value {
    let record = &network.record;
    let mut containers = Map::new();
    if with_containers {
        for member in &network.members {
            let endpoint = member.endpoint.as_ref();
            let address = |address: Option<engine::Address>| {
                address.map_or(String::new(), |a| format!("{}/{}", a.ip, a.prefix_len))
            };
            containers.insert(
                member.id.clone(),
                json!({
                    "Name": member.name,
                    "EndpointID": member.endpoint_id,
                    "MacAddress": endpoint.map_or("", |e| &e.mac),
                    "IPv4Address": address(endpoint.and_then(|e| e.ipv4)),
                    "IPv6Address": address(endpoint.and_then(|e| e.ipv6)),
                }),
            );
        }
    }
    json!({
        "Name": record.name,
        "Id": record.id,
        "Created": record.created,
        "Scope": record.scope(),
        "Driver": record.driver,
        "EnableIPv4": record.enable_ipv4,
        "EnableIPv6": record.enable_ipv6,
        "IPAM": {
            "Driver": record.ipam.driver,
            "Options": record.ipam.options,
            "Config": record.ipam.config,
        },
        "Internal": record.internal,
        "Attachable": record.attachable,
        "Ingress": false,
        "ConfigFrom": { "Network": record.config_from },
        "ConfigOnly": record.config_only,
        "Containers": containers,
        "Options": record.options,
        "Labels": record.labels,
    })
}
