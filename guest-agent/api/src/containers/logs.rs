//! `GET /containers/{name}/logs`.

use std::sync::Arc;

use axum::extract::{Path, State};
use engine::Engine;
use engine::containers::LogRequest;
use engine::time::Time;
use tokio_stream::wrappers::ReceiverStream;

use crate::error::{ApiError, Result};
use crate::presence::Presence;
use crate::query::Query;
use crate::reply;
use crate::version::ApiVersion;

/// `GET /containers/{name}/logs`.
pub(crate) async fn logs(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    version: ApiVersion,
    presence: Presence,
    query: Query,
) -> Result {
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::invalid(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let now = Time::now();
    let time = |name: &str| match query.text(name) {
        "0" => Ok(None),
        _ => query.time(name, now),
    };
    let request = LogRequest {
        follow: query.flag("follow"),
        stdout,
        stderr,
        since: time("since")?,
        until: time("until")?,
        timestamps: query.flag("timestamps"),
        details: query.flag("details"),
        raw: false,
        // Anything but a number, such as `all`, is everything.
        tail: query.text("tail").parse().ok(),
    };
    let follow = request.follow;
    let log = engine.container_logs(&name, request).await?;
    let content_type = if !log.tty && version.at_least(42) {
        "application/vnd.docker.multiplexed-stream"
    } else {
        "application/vnd.docker.raw-stream"
    };
    let chunks = ReceiverStream::new(log.chunks);
    Ok(if follow {
        reply::stream_while(presence, content_type, chunks)
    } else {
        reply::stream(content_type, chunks)
    })
}
