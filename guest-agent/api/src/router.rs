//! Which path goes where.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::Engine;
use http::StatusCode;

use crate::error::ApiError;
use crate::{containers, events, exec, images, networks, system, unsupported, volumes};

/// All routes, without versions.
pub(crate) fn build(engine: Arc<Engine>) -> Router {
    let ready = middleware::from_fn_with_state(Arc::clone(&engine), wait_until_ready);
    let resources = Router::new()
        .route("/info", get(system::info))
        .route("/system/df", get(system::disk_usage))
        .route("/events", get(events::stream))
        .merge(containers::routes())
        .merge(exec::routes())
        .merge(images::routes())
        .merge(networks::routes())
        .merge(volumes::routes())
        .layer(ready);
    Router::new()
        .route("/_ping", get(system::ping).head(system::ping))
        .route("/version", get(system::version))
        .route("/auth", post(images::auth))
        .merge(unsupported::routes())
        .merge(resources)
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .with_state(engine)
}

/// Requests that need the engine's state wait until it is read.
async fn wait_until_ready(
    State(engine): State<Arc<Engine>>,
    request: Request,
    next: Next,
) -> Response {
    match engine.ready().await {
        Ok(()) => next.run(request).await,
        Err(error) => ApiError::from(error).into_response(),
    }
}

async fn not_found() -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        message: "page not found".into(),
    }
}
