//! Answers: JSON with a line feed at the end as Go writes it, empty ones, streams and files.

use std::fs::File;
use std::io::Read as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::containers::Chunks;
use futures::{Stream, StreamExt};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::presence::Presence;

/// A file is sent in pieces of this size.
const PIECE: usize = 64 * 1024;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = Response::new(Body::from(line(value)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// A JSON answer with 200.
pub(crate) fn ok(value: &impl Serialize) -> Response {
    json(StatusCode::OK, value)
}

/// 204.
pub(crate) fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// One line of JSON.
pub(crate) fn line(value: &impl Serialize) -> Bytes {
    // Our own values always serialise; an empty line is what is left otherwise.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}

/// An answer whose body is written over time. The head is sent at once.
pub(crate) fn stream(
    content_type: &'static str,
    chunks: impl Stream<Item = Bytes> + Send + 'static,
) -> Response {
    let body = Body::from_stream(chunks.map(Ok::<_, std::convert::Infallible>));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer without an end of its own: it ends when the client is gone.
pub(crate) fn stream_while(
    presence: Presence,
    content_type: &'static str,
    chunks: impl Stream<Item = Bytes> + Send + 'static,
) -> Response {
    stream(content_type, chunks.take_until(Box::pin(presence.gone())))
}

/// An archive. An error on the way breaks the connection off, so that nobody takes the archive for
/// whole.
pub(crate) fn archive(chunks: Chunks) -> Response {
    let pieces = futures::stream::unfold(chunks, async |mut chunks| {
        let piece: Option<std::result::Result<Bytes, engine::Error>> = chunks.recv().await;
        let piece = piece?.map_err(|error| {
            tracing::warn!(%error, "an archive broke off");
            std::io::Error::other(error.to_string())
        });
        Some((piece, chunks))
    });
    Response::new(Body::from_stream(pieces.fuse()))
}

/// The first `size` bytes of a file, as they are.
pub(crate) fn file(file: File, size: u64) -> Response {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        // One that grows meanwhile ends where it did.
        let mut file = file.take(size);
        loop {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).map(|count| {
                piece.truncate(count);
                Bytes::from(piece)
            });
            let last = read.as_ref().map_or(true, Bytes::is_empty);
            if sender.blocking_send(read).is_err() || last {
                return;
            }
        }
    });
    let pieces = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    response
}
