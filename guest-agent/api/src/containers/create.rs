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
#[serde(default, rename_all = "PascalCase")]
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
    let beside: Beside = body::read(value)?;
    let created = engine
        .create_container(CreateRequest {
            name: query.text("name").to_owned(),
            config,
            host_config: beside.host_config,
            networks: beside
                .networking_config
                .endpoints_config
                .into_iter()
                .map(|(name, settings)| (name, settings.unwrap_or_default()))
                .collect(),
            platform: query.optional("platform").map(str::to_owned),
        })
        .await?;
    Ok(reply::json(
        StatusCode::CREATED,
        &json!({ "Id": created.id, "Warnings": created.warnings }),
    ))
}
