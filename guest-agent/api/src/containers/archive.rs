//! `/containers/{name}/archive`, `/changes` and `/export`: a container's files.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Engine;
use engine::containers::{CopyIn, PathStat};
use futures::TryStreamExt as _;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::reply;

type Shared = State<Arc<Engine>>;

const STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

/// `HEAD /containers/{name}/archive`.
pub(crate) async fn stat(State(engine): Shared, Path(name): Path<String>, query: Query) -> Result {
    let stat = engine.stat_path(&name, path(&query)?).await?;
    let mut response = StatusCode::OK.into_response();
    response.headers_mut().insert(STAT, stat_header(&stat)?);
    Ok(response)
}

/// `GET /containers/{name}/archive`.
pub(crate) async fn get(State(engine): Shared, Path(name): Path<String>, query: Query) -> Result {
    let (stat, chunks) = engine.archive_path(&name, path(&query)?).await?;
    let mut response = reply::archive(chunks);
    let headers = response.headers_mut();
    headers.insert(STAT, stat_header(&stat)?);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-tar"),
    );
    Ok(response)
}

/// `PUT /containers/{name}/archive`.
pub(crate) async fn put(
    State(engine): Shared,
    Path(name): Path<String>,
    query: Query,
    request: Request,
) -> Result {
    let mut content = request
        .into_body()
        .into_data_stream()
        .map_err(std::io::Error::other);
    let how = CopyIn {
        owner_is_user: query.flag("copyUIDGID"),
        keep_kinds: query.flag("noOverwriteDirNonDir"),
    };
    engine
        .extract_archive(&name, path(&query)?, how, &mut content)
        .await?;
    Ok(StatusCode::OK.into_response())
}

/// `GET /containers/{name}/changes`: null when nothing has changed.
pub(crate) async fn changes(State(engine): Shared, Path(name): Path<String>) -> Result {
    let changes = engine.container_changes(&name).await?;
    if changes.is_empty() {
        return Ok(reply::ok(&json!(null)));
    }
    let list: Vec<_> = changes
        .iter()
        .map(|change| json!({ "Path": change.path, "Kind": change.kind as u8 }))
        .collect();
    Ok(reply::ok(&list))
}

/// `GET /containers/{name}/export`.
pub(crate) async fn export(State(engine): Shared, Path(name): Path<String>) -> Result {
    let mut response = reply::archive(engine.export_container(&name).await?);
    // dockerd names no type, and Go guesses this one.
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    Ok(response)
}

fn path(query: &Query) -> Result<&str> {
    query
        .optional("path")
        .ok_or_else(|| ApiError::invalid("bad parameter: pathcannot be empty"))
}

fn stat_header(stat: &PathStat) -> Result<HeaderValue> {
    let text = json!({
        "name": stat.name,
        "size": stat.size,
        "mode": stat.mode,
        "mtime": stat.mtime,
        "linkTarget": stat.link_target,
    })
    .to_string();
    HeaderValue::try_from(STANDARD.encode(text)).map_err(|error| ApiError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: error.to_string(),
    })
}
