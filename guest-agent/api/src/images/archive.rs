//! `POST /images/load` and `GET /images/get`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::BytesMut;
use engine::Engine;
use engine::image::{LoadOptions, LoadedImage, Platform};
use futures::StreamExt;
use http::{HeaderValue, header};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::body;
use crate::client::Client;
use crate::error::{ApiError, Result};
use crate::progress;
use crate::query::Query;
use crate::version::ApiVersion;

/// An archive leaves in pieces of this size.
const PIECE: usize = 64 * 1024;

/// `POST /images/load`.
pub(crate) async fn load(
    State(engine): State<Arc<Engine>>,
    version: ApiVersion,
    query: Query,
    request: Request,
) -> Result {
    let quiet = query.optional("quiet").is_none() || query.flag("quiet");
    let options = LoadOptions {
        platform: super::platform(&query, version, 48)?,
        by: Client::of(request.headers()).0,
    };
    let mut archive = body::reader(request.into_body());
    progress::run(move |reports| async move {
        let reports = if quiet { ignored() } else { reports };
        let loaded = match engine.load_images(&mut archive, options, reports).await {
            Ok(loaded) => loaded,
            Err(error) => {
                // Unlike for other operations this is always a line, and the status 200.
                return Ok(vec![progress::failure(&error.to_string())]);
            }
        };
        Ok(loaded.iter().flat_map(said).collect())
    })
    .await
}

/// What is told of a loaded image.
fn said(image: &LoadedImage) -> Vec<Value> {
    let mut lines = Vec::new();
    if let (Some(name), Some(old)) = (&image.reference, &image.replaced) {
        lines.push(format!(
            "The image {name} already exists, renaming the old one with ID {old} to empty string\n"
        ));
    }
    lines.push(format!("{image}\n"));
    let stream = |line| json!({ "stream": line });
    lines.into_iter().map(stream).collect()
}

/// A sender that nobody listens to.
fn ignored() -> tokio::sync::mpsc::Sender<engine::image::PullProgress> {
    tokio::sync::mpsc::channel(1).0
}

/// `GET /images/get` and `/images/{name}/get`: an archive of the images. An error before the first
/// byte is an HTTP error, a later one breaks the connection off so that nobody takes the archive
/// for whole.
pub(crate) async fn save(
    engine: Arc<Engine>,
    names: Vec<String>,
    platform: Option<Platform>,
) -> Result {
    let (mut reader, writer) = tokio::io::duplex(PIECE);
    let work =
        tokio::spawn(async move { engine.save_images(&names, platform.as_ref(), writer).await });
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
