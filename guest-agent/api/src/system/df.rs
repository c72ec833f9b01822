//! `GET /system/df`.

use std::sync::Arc;

use axum::extract::State;
use engine::Engine;
use serde_json::json;

use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::version::ApiVersion;
use crate::{containers, images, reply, volumes};

/// `GET /system/df`.
pub(crate) async fn disk_usage(
    State(engine): State<Arc<Engine>>,
    version: ApiVersion,
    query: Query,
) -> Result {
    let types = query.all("type");
    let types = if version.at_least(42) { types } else { &[] };
    let known = ["container", "image", "volume", "build-cache"];
    if let Some(other) = types.iter().find(|kind| !known.contains(&kind.as_str())) {
        return Err(ApiError::invalid(format!("unknown object type: {other}")));
    }
    if types == ["volume"] {
        // The others' sizes cost time, and nobody asks for them.
        let volumes = engine.volume_usage().await?;
        let volumes: Vec<_> = volumes.iter().map(volumes::usage).collect();
        return Ok(reply::ok(&json!({
            "LayersSize": 0, "Images": null, "Containers": null, "Volumes": volumes,
            "BuildCache": null,
        })));
    }
    let usage = engine.disk_usage().await?;
    let wanted = |kind: &str| types.is_empty() || types.iter().any(|t| t == kind);
    let images: Vec<_> = usage
        .images
        .iter()
        .map(|listed| {
            let mut value = images::summary(listed, version);
            // The list of images tells clients of old nothing of this; here it was always told.
            value["Containers"] = json!(listed.containers.len());
            for key in ["RepoTags", "RepoDigests"] {
                if value[key] == json!([]) {
                    value[key] = json!(null);
                }
            }
            value
        })
        .collect();
    let containers: Vec<_> = usage
        .containers
        .iter()
        .map(|(container, size)| containers::summary(container, version, Some(*size)))
        .collect();
    let volumes: Vec<_> = usage.volumes.iter().map(volumes::usage).collect();
    Ok(reply::ok(&json!({
        "LayersSize": if wanted("image") { usage.layers_size } else { 0 },
        "Images": if wanted("image") { json!(images) } else { json!(null) },
        "Containers": if wanted("container") { json!(containers) } else { json!(null) },
        "Volumes": if wanted("volume") { json!(volumes) } else { json!(null) },
        "BuildCache": if wanted("build-cache") { json!([]) } else { json!(null) },
    })))
}
