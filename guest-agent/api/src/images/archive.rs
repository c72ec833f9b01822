//! `POST /images/load`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use engine::Engine;
use futures::TryStreamExt;
use serde_json::json;
use tokio::io::AsyncRead;
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
    let mut archive = StreamReader::new(Box::pin(content));
    progress::run(move |reports| async move {
        let reports = if quiet { ignored() } else { reports };
        let loaded = match engine.load_images(&mut archive, reports).await {
            Ok(loaded) => loaded,
            Err(error) => {
                read_out(archive).await;
                return Err(error.into());
            }
        };
        Ok(loaded
            .iter()
            .map(|image| json!({ "stream": format!("{image}\n") }))
            .collect())
    })
    .await
}

/// Reads what the client still sends: one that can't send any more (its pipe is broken) never
/// reads the answer that says why. A client that sends for ever is left to itself.
async fn read_out(mut archive: impl AsyncRead + Unpin) {
    let mut nowhere = tokio::io::sink();
    let rest = tokio::io::copy(&mut archive, &mut nowhere);
    // Whatever goes wrong here, the answer is sent.
    let _ = tokio::time::timeout(READ_OUT, rest).await;
}

/// How long [`read_out`] goes on.
const READ_OUT: Duration = Duration::from_secs(60);

/// A sender that nobody listens to.
fn ignored() -> tokio::sync::mpsc::Sender<engine::image::PullProgress> {
    tokio::sync::mpsc::channel(1).0
}
