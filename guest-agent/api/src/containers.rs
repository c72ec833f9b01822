//! `/containers`.

mod archive;
mod attach;
mod attach_ws;
mod commit;
mod create;
mod endpoints;
mod first_network;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod older;
mod stats;
mod update;
mod wait;

use axum::routing::{delete, get, post};

use crate::routes::{Routes, to};

pub(crate) use list::summary;

/// Adds the routes.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        // Containers may have these names too.
        .route(
            "/containers/json",
            get(to(list::list)).delete(to(lifecycle::remove)),
        )
        .route(
            "/containers/create",
            post(to(create::create)).delete(to(lifecycle::remove)),
        )
        .route(
            "/containers/prune",
            post(to(lifecycle::prune)).delete(to(lifecycle::remove)),
        )
        .route("/commit", post(to(commit::commit)))
        .route("/containers/{name}", delete(to(lifecycle::remove)))
        .route(
            "/containers/{name}/{alias}",
            delete(to(lifecycle::remove_by_link)),
        )
        .route("/containers/{name}/json", get(to(inspect::inspect)))
        .route(
            "/containers/{parent}/{alias}/json",
            get(to(inspect::inspect_by_link)),
        )
        .route("/containers/{name}/top", get(to(inspect::top)))
        .route("/containers/{name}/logs", get(to(logs::logs)))
        .route("/containers/{name}/start", post(to(lifecycle::start)))
        .route("/containers/{name}/stop", post(to(lifecycle::stop)))
        .route("/containers/{name}/restart", post(to(lifecycle::restart)))
        .route("/containers/{name}/kill", post(to(lifecycle::kill)))
        .route("/containers/{name}/pause", post(to(lifecycle::pause)))
        .route("/containers/{name}/unpause", post(to(lifecycle::unpause)))
        .route("/containers/{name}/rename", post(to(lifecycle::rename)))
        .route("/containers/{name}/resize", post(to(attach::resize)))
        .route("/containers/{name}/attach", post(to(attach::attach)))
        .route("/containers/{name}/wait", post(to(wait::wait)))
        .route("/containers/{name}/changes", get(to(archive::changes)))
        .route("/containers/{name}/export", get(to(archive::export)))
        .route(
            "/containers/{name}/archive",
            get(to(archive::get))
                .head(to(archive::stat))
                .put(to(archive::put)),
        )
        .route("/containers/{name}/attach/ws", get(to(attach_ws::attach)))
        .route("/containers/{name}/stats", get(to(stats::stats)))
        .route("/containers/{name}/update", post(to(update::update)))
        .route(
            "/slipway/containers/{name}/bandwidth",
            get(to(update::bandwidth)).post(to(update::set_bandwidth)),
        )
}
