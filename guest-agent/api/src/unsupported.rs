//! Parts of the API that Slipway has not learned yet: they say so instead of "page not found".

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get};
use engine::Engine;
use serde_json::json;

use crate::error::{ApiError, Result};
use crate::reply;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Engine>> {
    let mut router = Router::new()
        // An empty list is true: there are no volumes.
        .route("/volumes", get(no_volumes))
        .route("/plugins", get(no_plugins));
    for (path, what) in [
        ("/build", "building images"),
        ("/build/prune", "building images"),
        ("/build/cancel", "building images"),
        ("/session", "building images with BuildKit"),
        ("/grpc", "building images with BuildKit"),
        ("/commit", "docker commit"),
        ("/volumes/create", "creating volumes"),
        ("/volumes/prune", "removing volumes"),
        ("/volumes/{name}", "volumes"),
        ("/networks/create", "creating networks"),
        ("/networks/prune", "removing networks"),
        (
            "/networks/{id}/connect",
            "connecting containers to networks",
        ),
        (
            "/networks/{id}/disconnect",
            "disconnecting containers from networks",
        ),
        ("/plugins/{*rest}", "plugins"),
        ("/distribution/{*rest}", "asking registries about images"),
    ] {
        router = router.route(
            path,
            any(move || async move { Err::<(), _>(ApiError::not_supported(what)) }),
        );
    }
    for path in [
        "/swarm",
        "/swarm/{*rest}",
        "/nodes",
        "/nodes/{*rest}",
        "/services",
        "/services/{*rest}",
        "/tasks",
        "/tasks/{*rest}",
        "/secrets",
        "/secrets/{*rest}",
        "/configs",
        "/configs/{*rest}",
    ] {
        router = router.route(path, any(no_swarm));
    }
    router
}

async fn no_volumes() -> Result {
    Ok(reply::ok(&json!({ "Volumes": [], "Warnings": null })))
}

async fn no_plugins() -> Result {
    Ok(reply::ok(&json!([])))
}

async fn no_swarm() -> ApiError {
    ApiError {
        status: http::StatusCode::SERVICE_UNAVAILABLE,
        message: "This node is not a swarm manager. Slipway has no swarm mode.".into(),
    }
}
