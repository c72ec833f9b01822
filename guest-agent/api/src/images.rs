//! `/images`. An image's name may hold slashes, so what follows it in the path is split off here.

mod archive;
mod render;
mod transfer;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use engine::Engine;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::reply;

pub(crate) use render::summary;

type Shared = State<Arc<Engine>>;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/images/json", get(list))
        .route("/images/create", post(transfer::create))
        .route("/images/load", post(archive::load))
        .route("/images/prune", post(prune))
        .route("/images/search", get(search))
        .route("/images/get", get(save))
        .route(
            "/images/{*rest}",
            get(by_name).post(by_name).delete(by_name),
        )
}

async fn list(State(engine): Shared, query: Query) -> Result {
    let images = engine
        .list_images(query.filters()?, query.flag("all"))
        .await?;
    let summaries: Vec<Value> = images
        .iter()
        .map(|(image, _)| summary(image, -1, -1))
        .collect();
    Ok(reply::ok(&summaries))
}

async fn search() -> ApiError {
    ApiError::not_supported("docker search")
}

async fn save(State(engine): Shared, query: Query) -> Result {
    archive::save(engine, query.all("names").to_vec()).await
}

async fn prune(State(engine): Shared, query: Query) -> Result {
    let (steps, pruned) = engine.prune_images(query.filters()?).await?;
    let steps: Vec<Value> = steps.iter().map(render::removed).collect();
    Ok(reply::ok(&json!({
        "ImagesDeleted": if steps.is_empty() { json!(null) } else { json!(steps) },
        "SpaceReclaimed": pruned.reclaimed,
    })))
}

async fn by_name(
    State(engine): Shared,
    Path(rest): Path<String>,
    query: Query,
    request: Request,
) -> Result {
    let (name, verb) = match rest.rsplit_once('/') {
        Some((name, verb)) => (name, verb),
        None => ("", ""),
    };
    match (request.method(), verb) {
        (&Method::DELETE, _) => remove(&engine, &rest, &query).await,
        (&Method::GET, "json") => Ok(reply::ok(&render::inspect(&engine.find_image(name).await?))),
        (&Method::GET, "history") => {
            Ok(reply::ok(&render::history(&engine.find_image(name).await?)))
        }
        (&Method::GET, "get") => archive::save(engine, vec![name.to_owned()]).await,
        (&Method::POST, "tag") => tag(&engine, name, &query).await,
        (&Method::POST, "push") => Err(ApiError::not_supported("docker push")),
        _ => Err(ApiError {
            status: StatusCode::NOT_FOUND,
            message: "page not found".into(),
        }),
    }
}

async fn remove(engine: &Arc<Engine>, name: &str, query: &Query) -> Result {
    let removed = engine
        .remove_image(name, query.flag("force"), query.flag("noprune"))
        .await?;
    let steps: Vec<Value> = removed.iter().map(render::removed).collect();
    Ok(reply::ok(&steps))
}

async fn tag(engine: &Arc<Engine>, name: &str, query: &Query) -> Result<Response> {
    engine
        .tag_image(name, query.text("repo"), query.text("tag"))
        .await?;
    Ok(axum::response::IntoResponse::into_response(
        StatusCode::CREATED,
    ))
}
