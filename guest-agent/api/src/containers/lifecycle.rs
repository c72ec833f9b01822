//! Start, stop and the other verbs that answer with nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use engine::Engine;
use engine::containers::RemoveRequest;
use http::Uri;
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::body;
use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::reply;
use crate::version::ApiVersion;

type Shared = State<Arc<Engine>>;

/// `POST /containers/{name}/start`.
pub(crate) async fn start(
    State(engine): Shared,
    Path(name): Path<String>,
    content: Body,
) -> Result {
    // A non-nil object has at least seven characters, says dockerd.
    if body::bytes(content).await?.len() > 7 {
        return Err(ApiError::invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    engine.start_container(&name).await?;
    Ok(reply::nothing())
}

fn signal(query: &Query, version: ApiVersion) -> Option<&str> {
    query.optional("signal").filter(|_| version.at_least(42))
}

/// `POST /containers/{name}/stop`.
pub(crate) async fn stop(
    State(engine): Shared,
    Path(name): Path<String>,
    version: ApiVersion,
    query: Query,
) -> Result {
    let timeout = query.number("t").map_err(ApiError::system)?;
    engine
        .stop_container(&name, signal(&query, version), timeout)
        .await?;
    Ok(reply::nothing())
}

/// `POST /containers/{name}/restart`.
pub(crate) async fn restart(
    State(engine): Shared,
    Path(name): Path<String>,
    version: ApiVersion,
    query: Query,
) -> Result {
    let timeout = query.number("t").map_err(ApiError::system)?;
    engine
        .restart_container(&name, signal(&query, version), timeout)
        .await?;
    Ok(reply::nothing())
}

/// `POST /containers/{name}/kill`.
pub(crate) async fn kill(State(engine): Shared, Path(name): Path<String>, query: Query) -> Result {
    engine
        .kill_container(&name, query.optional("signal"))
        .await?;
    Ok(reply::nothing())
}

/// `POST /containers/{name}/pause`.
pub(crate) async fn pause(State(engine): Shared, Path(name): Path<String>) -> Result {
    engine.pause_container(&name).await?;
    Ok(reply::nothing())
}

/// `POST /containers/{name}/unpause`.
pub(crate) async fn unpause(State(engine): Shared, Path(name): Path<String>) -> Result {
    engine.unpause_container(&name).await?;
    Ok(reply::nothing())
}

/// `POST /containers/{name}/rename`.
pub(crate) async fn rename(
    State(engine): Shared,
    Path(name): Path<String>,
    query: Query,
) -> Result {
    engine.rename_container(&name, query.text("name")).await?;
    Ok(reply::nothing())
}

/// `DELETE /containers/{name}`. A name such as `json` is also a path of its own, where nothing is
/// taken out of it.
pub(crate) async fn remove(State(engine): Shared, uri: Uri, query: Query) -> Result {
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let name = percent_decode_str(name).decode_utf8_lossy();
    engine.remove_container(&name, removal(&query)).await?;
    Ok(reply::nothing())
}

/// `DELETE /containers/{parent}/{alias}`: a container by the name that another one has for it.
pub(crate) async fn remove_by_link(
    State(engine): Shared,
    Path((parent, alias)): Path<(String, String)>,
    query: Query,
) -> Result {
    engine
        .remove_by_link(&parent, &alias, removal(&query))
        .await?;
    Ok(reply::nothing())
}

fn removal(query: &Query) -> RemoveRequest {
    RemoveRequest {
        force: query.flag("force"),
        volumes: query.flag("v"),
        link: query.flag("link"),
    }
}

/// `POST /containers/prune`.
pub(crate) async fn prune(State(engine): Shared, query: Query) -> Result {
    let pruned = engine.prune_containers(&query.filters()?).await?;
    let deleted = if pruned.deleted.is_empty() {
        json!(null)
    } else {
        json!(pruned.deleted)
    };
    Ok(reply::ok(
        &json!({ "ContainersDeleted": deleted, "SpaceReclaimed": pruned.reclaimed }),
    ))
}
