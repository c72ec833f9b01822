//! `POST /containers/create`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use engine::containers::{Config, CreateRequest, HostConfig};
use engine::{EndpointSettings, Engine};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, json};

use super::{first_network, older};
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
    let Beside {
        mut host_config,
        networking_config,
    } = body::read(value)?;
    let mut networks = BTreeMap::new();
    for (name, settings) in networking_config.endpoints_config {
        let settings = settings.ok_or_else(|| {
            ApiError::invalid(format!(
                "invalid config for network {name}: EndpointsConfig is nil"
            ))
        })?;
        networks.insert(name, settings);
    }
    first_network::name_default(&mut host_config, &mut networks);
    older::adapt(&mut config, &mut host_config, &mut networks, version)?;
    let warnings = [
        first_network::hardware_address(&mut config, &host_config, &mut networks, version)?,
        first_network::sysctls(&mut host_config, &mut networks, version)?,
    ];
    let platform = query.optional("platform");
    let platform = platform.filter(|_| version.at_least(41));
    let mut created = engine
        .create_container(CreateRequest {
            name: query.text("name").to_owned(),
            config,
            host_config,
            networks,
            platform: platform.map(str::to_owned),
            // Until then read-only mounts said nothing of what is mounted below them.
            shallow_read_only: !version.at_least(44),
        })
        .await?;
    created.warnings.extend(warnings.into_iter().flatten());
    Ok(reply::json(
        StatusCode::CREATED,
        &json!({ "Id": created.id, "Warnings": created.warnings }),
    ))
}
