//! `POST /commit`.

use std::sync::Arc;

use axum::extract::{Request, State};
use engine::Engine;
use engine::containers::{CommitRequest, Config};
use http::StatusCode;
use serde_json::json;

use crate::client::Client;
use crate::error::Result;
use crate::query::Query;
use crate::{body, reply};

/// `POST /commit`.
pub(crate) async fn commit(
    State(engine): State<Arc<Engine>>,
    query: Query,
    client: Client,
    request: Request,
) -> Result {
    let config: Config = body::json(request).await?;
    let text = |name: &str| query.text(name).to_owned();
    let id = engine
        .commit_container(CommitRequest {
            container: text("container"),
            repository: text("repo"),
            tag: text("tag"),
            author: text("author"),
            comment: text("comment"),
            // Unlike other flags this one is on when nothing is said.
            pause: query.optional("pause").is_none() || query.flag("pause"),
            // Clients send an empty object when they mean nothing.
            config: (config != Config::default()).then_some(config),
            changes: query.all("changes").to_vec(),
            by: client.0,
        })
        .await?;
    Ok(reply::json(StatusCode::CREATED, &json!({ "Id": id })))
}
