//! Which path goes where.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use engine::Engine;
use http::{Method, StatusCode};

use crate::error::ApiError;
use crate::routes::{early, to};
use crate::{containers, events, exec, images, networks, system, unsupported, volumes};

/// All routes, without versions.
pub(crate) fn build(engine: Arc<Engine>) -> Router {
    let first = Router::new()
        .route("/_ping", get(early(system::ping)).head(early(system::ping)))
        .route("/version", get(early(system::version)))
        .route("/auth", post(early(images::auth)))
        .route("/info", get(to(system::info)))
        .route("/system/df", get(to(system::disk_usage)))
        .route("/events", get(to(events::stream)));
    // Added to the one table: tables that are merged are made twice.
    [
        unsupported::add,
        containers::add,
        exec::add,
        images::add,
        networks::add,
        volumes::add,
    ]
    .into_iter()
    .fold(first, |routes, add| add(routes))
    .fallback(early(not_found))
    .method_not_allowed_fallback(early(not_found))
    .with_state(engine)
}

/// Whether a request has a place to go. The library answers HEAD wherever GET is; Docker's engine in
/// two places only.
pub(crate) fn has_place(method: &Method, path: &str) -> bool {
    method != Method::HEAD || path == "/_ping" || path.ends_with("/archive")
}

pub(crate) async fn not_found() -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        message: "page not found".into(),
    }
}
