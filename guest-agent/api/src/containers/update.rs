//! `POST /containers/{name}/update`, and Slipway's own `…/bandwidth`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use engine::Engine;
use engine::containers::{Bandwidth, HostConfig, RestartPolicy, UpdateRequest, rate_text};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{ApiError, Result};
use crate::version::ApiVersion;
use crate::{body, reply};

type Shared = State<Arc<Engine>>;

/// `POST /containers/{name}/update`: the limits stand beside the restart policy.
pub(crate) async fn update(
    State(engine): Shared,
    Path(name): Path<String>,
    version: ApiVersion,
    request: Request,
) -> Result {
    let mut limits: HostConfig = body::json(request).await?;
    if version.at_least(42) {
        limits.kernel_memory = 0;
    }
    let restart_policy: RestartPolicy = limits.restart_policy.clone();
    let request = UpdateRequest {
        limits,
        restart_policy,
    };
    let warnings = engine.update_container(&name, request).await?;
    let warnings = if warnings.is_empty() {
        Value::Null
    } else {
        json!(warnings)
    };
    Ok(reply::ok(&json!({ "Warnings": warnings })))
}

/// What is not given stays as it is; `none` lifts a limit.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Wanted {
    egress: Option<String>,
    ingress: Option<String>,
}

/// `GET /slipway/containers/{name}/bandwidth`.
pub(crate) async fn bandwidth(State(engine): Shared, Path(name): Path<String>) -> Result {
    Ok(reply::ok(&render(engine.container_bandwidth(&name)?)))
}

/// `POST /slipway/containers/{name}/bandwidth`.
pub(crate) async fn set_bandwidth(
    State(engine): Shared,
    Path(name): Path<String>,
    request: Request,
) -> Result {
    let wanted: Wanted = body::json(request).await?;
    if wanted.egress.is_none() && wanted.ingress.is_none() {
        return Err(ApiError::invalid(
            "nothing to change: give Egress, Ingress or both, such as {\"Egress\": \"10mbit\"}",
        ));
    }
    let now = engine
        .set_container_bandwidth(&name, wanted.egress, wanted.ingress)
        .await?;
    Ok(reply::ok(&render(now)))
}

/// Both directions as people write them, and in bits a second; no limit is `none` and 0.
fn render(bandwidth: Bandwidth) -> Value {
    let text = |rate: Option<u64>| rate.map_or_else(|| "none".to_owned(), rate_text);
    json!({
        "Egress": text(bandwidth.egress),
        "Ingress": text(bandwidth.ingress),
        "EgressBitsPerSecond": bandwidth.egress.unwrap_or(0),
        "IngressBitsPerSecond": bandwidth.ingress.unwrap_or(0),
    })
}
