//! `POST /containers/{name}/wait`: the head is sent at once, because the docker command waits for
//! it before it starts the container.

use std::sync::Arc;

use axum::extract::{Path, State};
use engine::Engine;
use engine::containers::WaitCondition;
use futures::stream;
use serde_json::{Map, json};

use crate::error::{ApiError, Result};
use crate::presence::Presence;
use crate::query::Query;
use crate::reply;
use crate::version::ApiVersion;

/// `POST /containers/{name}/wait`.
pub(crate) async fn wait(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    version: ApiVersion,
    presence: Presence,
    query: Query,
) -> Result {
    let condition = match query.text("condition") {
        _ if !version.at_least(30) => WaitCondition::NotRunning,
        "" | "not-running" => WaitCondition::NotRunning,
        "next-exit" => WaitCondition::NextExit,
        "removed" => WaitCondition::Removed,
        other => return Err(ApiError::invalid(format!("invalid condition: \"{other}\""))),
    };
    let outcome = engine.wait_container(&name, condition)?;
    if !version.at_least(30) {
        // The clients of before wait for the head.
        let exit_code = outcome.await.exit_code;
        return Ok(reply::ok(&json!({ "StatusCode": exit_code })));
    }
    let answer = async move {
        let outcome = outcome.await;
        let mut answer = Map::new();
        answer.insert("StatusCode".into(), json!(outcome.exit_code));
        if let Some(message) = outcome.error {
            answer.insert("Error".into(), json!({ "Message": message }));
        }
        reply::line(&answer)
    };
    Ok(reply::stream_while(
        presence,
        "application/json",
        stream::once(answer),
    ))
}
