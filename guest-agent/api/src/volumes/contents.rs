//! `/slipway/volumes/{name}/…`: what no Docker client asks for: a volume's files, looked at, backed
//! up, restored and cloned.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::routing::{get, post};
use engine::{Engine, RestoreRequest, VolumeEntry};
use futures::TryStreamExt as _;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::render;
use crate::error::Result;
use crate::query::Query;
use crate::reply;
use crate::routes::{Routes, to};

/// As many files as are told when nobody says.
const FILES: usize = 10_000;
/// What a backup is about, as JSON, ahead of it.
const ABOUT: HeaderName = HeaderName::from_static("x-slipway-backup");

type Shared = State<Arc<Engine>>;

/// Adds the routes.
pub(super) fn add(routes: Routes) -> Routes {
    routes
        .route("/slipway/volumes/{name}/tree", get(to(tree)))
        .route("/slipway/volumes/{name}/file", get(to(file)))
        .route("/slipway/volumes/{name}/backup", get(to(back_up)))
        .route(
            "/slipway/volumes/{name}/restore",
            get(to(check_restore)).post(to(restore)),
        )
        .route("/slipway/volumes/{name}/clone", post(to(clone)))
}

async fn tree(State(engine): Shared, Path(name): Path<String>, query: Query) -> Result {
    let path = query.optional("path").unwrap_or("/");
    let limit = match query.number("limit")? {
        Some(limit) => usize::try_from(limit).unwrap_or(FILES),
        None => FILES,
    };
    let (entries, more) = engine.volume_tree(&name, path, limit).await?;
    let entries: Vec<Value> = entries.iter().map(entry).collect();
    Ok(reply::ok(&json!({ "Entries": entries, "More": more })))
}

fn entry(entry: &VolumeEntry) -> Value {
    json!({
        "Path": entry.path,
        "Kind": entry.kind,
        "Size": entry.size,
        "Mode": entry.mode,
        "Uid": entry.uid,
        "Gid": entry.gid,
        "Modified": entry.modified,
        "Target": entry.target,
    })
}

/// The content of a file, as it is.
async fn file(State(engine): Shared, Path(name): Path<String>, query: Query) -> Result {
    let path = query.required("path")?;
    let (file, size) = engine.volume_file(&name, path).await?;
    Ok(reply::file(file, size))
}

async fn back_up(State(engine): Shared, Path(name): Path<String>, query: Query) -> Result {
    let backup = engine.back_up_volume(&name, query.flag("pause")).await?;
    let about = json!({
        "Bytes": backup.bytes,
        "Writers": backup.writers,
        "Paused": backup.paused,
    })
    .to_string();
    let mut response = reply::archive(backup.chunks);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/zstd"),
    );
    if let Ok(about) = HeaderValue::try_from(about) {
        headers.insert(ABOUT, about);
    }
    Ok(response)
}

fn how(query: &Query) -> RestoreRequest {
    RestoreRequest {
        force: query.flag("force"),
        stop: query.flag("stop"),
    }
}

/// Whether a restore would be refused, for those who don't want to send an archive for nothing.
async fn check_restore(State(engine): Shared, Path(name): Path<String>, query: Query) -> Result {
    engine.check_restore(&name, how(&query)).await?;
    Ok(reply::nothing())
}

async fn restore(
    State(engine): Shared,
    Path(name): Path<String>,
    query: Query,
    request: Request,
) -> Result {
    let mut content = request
        .into_body()
        .into_data_stream()
        .map_err(std::io::Error::other);
    let restored = engine
        .restore_volume(&name, how(&query), &mut content)
        .await?;
    Ok(reply::ok(&json!({
        "Volume": render(&restored.volume),
        "Created": restored.created,
        "Entries": restored.entries,
        "Bytes": restored.bytes,
        "Restarted": restored.restarted,
    })))
}

async fn clone(State(engine): Shared, Path(name): Path<String>, query: Query) -> Result {
    let to = query.required("to")?;
    let cloned = engine.clone_volume(&name, to, query.flag("pause")).await?;
    Ok(reply::json(
        StatusCode::CREATED,
        &json!({
            "Volume": render(&cloned.volume),
            "Bytes": cloned.bytes,
            "Writers": cloned.writers,
        }),
    ))
}
