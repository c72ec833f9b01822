//! Parts of the API that Slipway has not learned yet: they say so instead of "page not found".

use axum::extract::Path;
use axum::routing::{any, delete, get, post};
use http::StatusCode;
use serde_json::json;

use crate::error::{ApiError, Result};
use crate::query::Query;
use crate::reply;
use crate::routes::{Routes, early};

/// Adds the routes.
pub(crate) fn add(routes: Routes) -> Routes {
    let mut routes = routes
        // There is nothing that could be pruned.
        .route("/build/prune", post(early(prune)))
        .route("/plugins", get(early(no_plugins)))
        .route("/plugins/{name}", delete(early(no_such_plugin)))
        .route("/plugins/{name}/json", get(early(no_such_plugin)))
        .route("/plugins/{name}/{verb}", post(early(no_such_plugin)));
    for (path, what) in [
        ("/plugins/privileges", "installing plugins"),
        ("/plugins/pull", "installing plugins"),
        ("/plugins/create", "making plugins"),
        ("/build", "building images"),
        ("/build/cancel", "building images"),
        ("/session", "building images with BuildKit"),
        ("/grpc", "building images with BuildKit"),
    ] {
        routes = routes.route(
            path,
            any(early(move || async move {
                Err::<(), _>(ApiError::not_supported(what))
            })),
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
        routes = routes.route(path, any(early(no_swarm)));
    }
    for path in ["/swarm/init", "/swarm/join"] {
        routes = routes.route(path, any(early(no_swarm_mode)));
    }
    routes = routes.route("/swarm/leave", any(early(not_in_a_swarm)));
    routes
}

async fn prune(query: Query) -> Result {
    query.filters()?;
    for name in [
        "keep-storage",
        "reserved-space",
        "max-used-space",
        "min-free-space",
    ] {
        if let Err(error) = query.number(name) {
            let text = query.text(name);
            return Err(ApiError::invalid(format!(
                "{name} is in bytes and expects an integer, got {text}: {}",
                error.message
            )));
        }
    }
    Ok(reply::ok(
        &json!({ "CachesDeleted": null, "SpaceReclaimed": 0 }),
    ))
}

async fn no_such_plugin(Path(parts): Path<Vec<String>>) -> ApiError {
    let name = parts.first().map_or("", String::as_str);
    ApiError {
        status: StatusCode::NOT_FOUND,
        message: format!("plugin \"{name}\" not found"),
    }
}

async fn no_plugins() -> Result {
    Ok(reply::ok(&json!([])))
}

async fn no_swarm() -> ApiError {
    unavailable(engine::NO_SWARM)
}

async fn no_swarm_mode() -> ApiError {
    unavailable("Slipway has no swarm mode.")
}

async fn not_in_a_swarm() -> ApiError {
    unavailable("This node is not part of a swarm")
}

fn unavailable(why: &str) -> ApiError {
    ApiError {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: why.into(),
    }
}
