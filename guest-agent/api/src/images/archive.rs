//! `POST /images/load` and `GET /images/get`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::BytesMut;
use engine::Engine;
use futures::StreamExt;
use http::{HeaderValue, header};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::body;
use crate::error::{ApiError, Result};
use crate::progress;
use crate::query::Query;

/// An archive leaves in pieces of this size.
const PIECE: usize = 64 * 1024;

/// `POST /images/load`.
pub(crate) async fn load(
    State(engine): State<Arc<Engine>>,
    query: Query,
    request: Request,
) -> Result {
    let quiet = query.flag("quiet");
    let mut archive = body::reader(request.into_body());
    progress::run(move |reports| async move {
        let reports = if quiet { ignored() } else { reports };
        let loaded = match engine.load_images(&mut archive, reports).await {
            Ok(loaded) => loaded,
            Err(error) => {
                body::read_out(archive).await;
                return Err(error);
            }
        };
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

/// `GET /images/get` and `/images/{name}/get`: an archive of the images. An error before the first
/// byte is an HTTP error, a later one breaks the connection off so that nobody takes the archive
/// for whole.
pub(crate) async fn save(engine: Arc<Engine>, names: Vec<String>) -> Result {
    if names.is_empty() {
        return Err(ApiError::invalid("no image was named"));
    }
    let (mut reader, writer) = tokio::io::duplex(PIECE);
    let work = tokio::spawn(async move { engine.save_images(&names, writer).await });
    let mut first = BytesMut::with_capacity(PIECE);
    // A pipe in memory ends, but never fails.
    let begun = reader.read_buf(&mut first).await.unwrap_or(0);
    if begun == 0 {
        ended(work.await)?;
        return Err(ApiError::invalid("the archive is empty"));
    }
    let rest = ReaderStream::with_capacity(reader, PIECE);
    let end = futures::stream::once(async move { ended(work.await) })
        .filter_map(async |outcome| outcome.err().map(|e| Err(std::io::Error::other(e.message))));
    let content = futures::stream::once(async move { Ok(first.freeze()) })
        .chain(rest)
        .chain(end);
    let mut response = Response::new(Body::from_stream(content));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-tar"),
    );
    Ok(response)
}

/// How a save ended.
fn ended(
    outcome: std::result::Result<std::result::Result<(), engine::Error>, tokio::task::JoinError>,
) -> Result<()> {
    match outcome {
        Ok(saved) => Ok(saved?),
        Err(failed) => {
            Err(engine::Error::System(format!("an engine task failed: {failed}")).into())
        }
    }
}
