//! `/volumes`.

mod contents;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::routing::{get, post};
use engine::{Engine, Volume, VolumeRequest, VolumeUsage};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::routes::{Routes, to};
use crate::version::ApiVersion;
use crate::{body, reply};

/// Adds the routes.
pub(crate) fn add(routes: Routes) -> Routes {
    contents::add(routes)
        .route("/volumes", get(to(list)))
        .route("/volumes/create", post(to(create)))
        .route("/volumes/prune", post(to(prune)))
        .route(
            "/volumes/{name}",
            get(to(inspect)).delete(to(remove)).put(to(update)),
        )
}

/// Docker's body of a create.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename = "CreateOptions", rename_all = "PascalCase")]
struct Create {
    name: String,
    driver: String,
    driver_opts: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
    cluster_volume_spec: Option<Value>,
}

async fn create(
    State(engine): State<Arc<Engine>>,
    version: ApiVersion,
    request: Request,
) -> Result {
    let wanted: Create = body::json(request).await?;
    if wanted.cluster_volume_spec.is_some() && version.at_least(42) {
        return Err(engine::Error::Unavailable(engine::NO_SWARM.into()).into());
    }
    let volume = engine
        .create_volume(VolumeRequest {
            name: wanted.name,
            driver: wanted.driver,
            options: wanted.driver_opts,
            labels: wanted.labels,
        })
        .await?;
    Ok(reply::json(StatusCode::CREATED, &render(&volume)))
}

async fn list(State(engine): State<Arc<Engine>>, query: Query) -> Result {
    let filters = query.filters().map_err(|error| ApiError {
        message: format!("error reading volume filters: {}", error.message),
        ..error
    })?;
    let volumes = engine.list_volumes(&filters).await?;
    let volumes: Vec<Value> = volumes.iter().map(render).collect();
    Ok(reply::ok(&json!({ "Volumes": volumes, "Warnings": null })))
}

async fn inspect(State(engine): State<Arc<Engine>>, Path(name): Path<String>) -> Result {
    Ok(reply::ok(&render(&engine.volume(&name)?)))
}

/// Only volumes of a swarm can be changed.
async fn update() -> ApiError {
    let why = "volume update only valid for cluster volumes, but swarm is unavailable";
    engine::Error::Unavailable(why.into()).into()
}

async fn remove(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    query: Query,
) -> Result {
    engine.remove_volume(&name, query.flag("force")).await?;
    Ok(reply::nothing())
}

async fn prune(State(engine): State<Arc<Engine>>, version: ApiVersion, query: Query) -> Result {
    let mut filters = query.filters()?;
    if !version.at_least(42) {
        // What older clients know: everything that is not used goes.
        filters.set("all", "true");
    }
    let pruned = engine.prune_volumes(filters).await?;
    Ok(reply::ok(&json!({
        "VolumesDeleted": pruned.deleted,
        "SpaceReclaimed": pruned.reclaimed,
    })))
}

fn render(volume: &Volume) -> Value {
    json!({
        "CreatedAt": seconds(&volume.created.to_string()),
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": volume.mountpoint.display().to_string(),
        "Name": volume.name,
        "Options": volume.options,
        "Scope": "local",
    })
}

/// A volume as `system df` shows it.
pub(crate) fn usage(usage: &VolumeUsage) -> Value {
    let mut volume = render(&usage.volume);
    volume["UsageData"] = json!({ "RefCount": usage.users, "Size": usage.size });
    volume
}

/// Times of volumes have no fractions.
fn seconds(time: &str) -> String {
    match (time.find('.'), time.rfind(['Z', '+', '-'])) {
        (Some(point), Some(zone)) if zone > point => {
            format!("{}{}", &time[..point], &time[zone..])
        }
        _ => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn fractions_of_seconds_are_cut_off() {
        assert_eq!(seconds("2026-01-02T03:04:05.678Z"), "2026-01-02T03:04:05Z");
        assert_eq!(seconds("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05Z");
    }
}
