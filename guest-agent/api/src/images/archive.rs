//! `POST /images/load`.

use std::sync::Arc;

use axum::extract::{Request, State};
use engine::Engine;
use futures::TryStreamExt;
use serde_json::json;
use tokio_util::io::StreamReader;

use crate::error::Result;
use crate::progress;
use crate::query::Query;

/// `POST /images/load`.
pub(crate) async fn load(
    State(engine): State<Arc<Engine>>,
    query: Query,
    request: Request,
) -> Result {
    let quiet = query.flag("quiet");
    let content = request
        .into_body()
        .into_data_stream()
        .map_err(std::io::Error::other);
    let archive = StreamReader::new(Box::pin(content));
    progress::run(move |reports| async move {
        let reports = if quiet { ignored() } else { reports };
        let loaded = engine.load_images(archive, reports).await?;
        Ok(loaded
            .iter()
            .map(|image| json!({ "stream": format!("{image}\n") }))
            .collect())
    })
    .await
}

/// A sender that nobody listens to.
fn ignored() -> tokio::sync::mpsc::Sender<engine::image::PullProgress> {
    tokio::sync::mpsc::channel(1).0
}
