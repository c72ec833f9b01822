//! `POST /containers/create`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use engine::containers::{Config, CreateRequest, HostConfig};
use engine::{EndpointSettings, Engine};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, json};

use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::version::ApiVersion;
use crate::{body, reply};

/// What stands beside the `Config` fields in the body.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename = "CreateRequest", rename_all = "PascalCase")]
struct Beside {
    host_config: HostConfig,
    networking_config: Networking,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Networking {
    endpoints_config: BTreeMap<String, Option<EndpointSettings>>,
}

/// `POST /containers/create`.
pub(crate) async fn create(
    State(engine): State<Arc<Engine>>,
    version: ApiVersion,
    query: Query,
    request: Request,
) -> Result {
    let value = body::value(request)
        .await?
        .ok_or_else(|| ApiError::invalid("invalid JSON: got EOF while reading request body"))?;
    if value.as_object().is_some_and(Map::is_empty) || value.is_null() {
        return Err(ApiError::invalid(
            "config cannot be empty in order to create a container",
        ));
    }
    let mut config: Config = body::read(value.clone())?;
    if let Some(check) = config
        .healthcheck
        .as_mut()
        .filter(|_| !version.at_least(44))
    {
        check.start_interval = 0;
    }
    let Beside {
        mut host_config,
        networking_config,
    } = body::read(value)?;
    if host_config.ipc_mode.is_empty() && !version.at_least(40) {
        host_config.ipc_mode = "shareable".into();
    }
    let mut networks = BTreeMap::new();
    for (name, settings) in networking_config.endpoints_config {
        let settings = settings.ok_or_else(|| {
            ApiError::invalid(format!(
                "invalid config for network {name}: EndpointsConfig is nil"
            ))
        })?;
        networks.insert(name, settings);
    }
    if networks.len() > 1 && !version.at_least(44) {
        let names: Vec<&str> = networks.keys().map(String::as_str).collect();
        return Err(ApiError::invalid(format!(
            "Container cannot be created with multiple network endpoints: {}",
            names.join(", ")
        )));
    }
    let moved = hardware_address(&mut config, &host_config, &mut networks, version)?;
    let mut created = engine
        .create_container(CreateRequest {
            name: query.text("name").to_owned(),
            config,
            host_config,
            networks,
            platform: query.optional("platform").map(str::to_owned),
        })
        .await?;
    if moved {
        created.warnings.insert(0, "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.".into());
    }
    Ok(reply::json(
        StatusCode::CREATED,
        &json!({ "Id": created.id, "Warnings": created.warnings }),
    ))
}

/// A hardware address of the whole container becomes that of its place on its first network. Whether
/// to warn of it: since 1.44 it belongs to the network, and before it did not.
fn hardware_address(
    config: &mut Config,
    host: &HostConfig,
    networks: &mut BTreeMap<String, EndpointSettings>,
    version: ApiVersion,
) -> Result<bool> {
    let old = !version.at_least(44);
    let address = std::mem::take(&mut config.mac_address);
    if address.is_empty() {
        if old {
            for settings in networks.values_mut() {
                settings.mac_address.clear();
            }
        }
        return Ok(false);
    }
    let mode = host.network_mode.as_str();
    if matches!(mode, "host" | "none") || mode.starts_with("container:") {
        if old {
            return Err(ApiError::invalid(
                "conflicting options: mac-address and the network mode",
            ));
        }
        return Ok(true);
    }
    let name = match (mode, networks.keys().next()) {
        ("" | "default" | "bridge", Some(only)) if networks.len() == 1 => only.clone(),
        ("" | "default", _) => "bridge".to_owned(),
        (mode, _) => mode.to_owned(),
    };
    let settings = networks.entry(name).or_default();
    if old || settings.mac_address.is_empty() {
        settings.mac_address = address;
    } else if settings.mac_address != address {
        return Err(ApiError::invalid(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
        ));
    }
    Ok(!old)
}
