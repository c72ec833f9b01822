//! `/containers`.

mod archive;
mod attach;
mod attach_ws;
mod commit;
mod create;
mod endpoints;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod stats;
mod update;
mod wait;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use engine::Engine;

pub(crate) use list::summary;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        // Containers may have these names too.
        .route(
            "/containers/json",
            get(list::list).delete(lifecycle::remove),
        )
        .route(
            "/containers/create",
            post(create::create).delete(lifecycle::remove),
        )
        .route(
            "/containers/prune",
            post(lifecycle::prune).delete(lifecycle::remove),
        )
        .route("/commit", post(commit::commit))
        .route(
            "/containers/{name}",
            axum::routing::delete(lifecycle::remove),
        )
        .route(
            "/containers/{name}/{alias}",
            axum::routing::delete(lifecycle::remove_by_link),
        )
        .route("/containers/{name}/json", get(inspect::inspect))
        .route(
            "/containers/{parent}/{alias}/json",
            get(inspect::inspect_by_link),
        )
        .route("/containers/{name}/top", get(inspect::top))
        .route("/containers/{name}/logs", get(logs::logs))
        .route("/containers/{name}/start", post(lifecycle::start))
        .route("/containers/{name}/stop", post(lifecycle::stop))
        .route("/containers/{name}/restart", post(lifecycle::restart))
        .route("/containers/{name}/kill", post(lifecycle::kill))
        .route("/containers/{name}/pause", post(lifecycle::pause))
        .route("/containers/{name}/unpause", post(lifecycle::unpause))
        .route("/containers/{name}/rename", post(lifecycle::rename))
        .route("/containers/{name}/resize", post(attach::resize))
        .route("/containers/{name}/attach", post(attach::attach))
        .route("/containers/{name}/wait", post(wait::wait))
        .route("/containers/{name}/changes", get(archive::changes))
        .route("/containers/{name}/export", get(archive::export))
        .route(
            "/containers/{name}/archive",
            get(archive::get).head(archive::stat).put(archive::put),
        )
        .route("/containers/{name}/attach/ws", get(attach_ws::attach))
        .route("/containers/{name}/stats", get(stats::stats))
        .route("/containers/{name}/update", post(update::update))
        .route(
            "/slipway/containers/{name}/bandwidth",
            get(update::bandwidth).post(update::set_bandwidth),
        )
}
