//! Reading a JSON body with Docker's checks.

use axum::body::Body;
use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http::header;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::error::{ApiError, Result};
use crate::lenient;

/// No JSON body of the API is anywhere near this large.
const LARGEST: usize = 16 * 1024 * 1024;

/// A body as bytes to read.
pub(crate) fn reader(body: Body) -> impl AsyncRead + Send + Unpin {
    let content = TryStreamExt::map_err(body.into_data_stream(), std::io::Error::other);
    StreamReader::new(Box::pin(content))
}

/// Reads the whole body.
pub(crate) async fn bytes(body: Body) -> Result<Bytes> {
    let mut content = body.into_data_stream();
    let mut bytes = BytesMut::new();
    loop {
        let chunk = content
            .try_next()
            .await
            .map_err(|e| ApiError::invalid(format!("reading the request body failed: {e}")))?;
        let Some(chunk) = chunk else {
            return Ok(bytes.freeze());
        };
        if bytes.len() + chunk.len() > LARGEST {
            let message = format!("the request body is larger than {} MiB", LARGEST >> 20);
            return Err(ApiError::invalid(message));
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// What a Content-Type header says, without its parameters.
pub(crate) fn media_type(header: &str) -> String {
    let kind = header.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// Reads a JSON body; nothing when it is empty.
pub(crate) async fn value(request: Request) -> Result<Option<Value>> {
    let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
    let bytes = bytes(request.into_body()).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = content_type
        .as_ref()
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    match media_type(text).as_str() {
        "application/json" => {}
        "" => {
            return Err(ApiError::invalid(
                "malformed Content-Type header (): mime: no media type",
            ));
        }
        _ => {
            return Err(ApiError::invalid(format!(
                "unsupported Content-Type header ({text}): must be 'application/json'"
            )));
        }
    }
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::invalid(go_words(&bytes, &error)))?;
    Ok(Some(value))
}

/// What Docker says of a body that is no JSON.
fn go_words(body: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "invalid JSON: unexpected EOF".into();
    }
    if error.to_string().starts_with("trailing characters") {
        return "unexpected content after JSON".into();
    }
    let line = body.split(|&byte| byte == b'\n').nth(error.line() - 1);
    let rest = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
    let text = String::from_utf8_lossy(rest.unwrap_or_default());
    let place = if error.to_string().starts_with("key must be a string") {
        "object key string"
    } else {
        "value"
    };
    match text.chars().next() {
        Some(found) => {
            format!("invalid JSON: invalid character {found:?} looking for beginning of {place}")
        }
        None => format!("invalid JSON: {error}"),
    }
}

/// Reads a JSON body into `T`, whose default stands for an empty one.
pub(crate) async fn json<T: DeserializeOwned + Default>(request: Request) -> Result<T> {
    match value(request).await? {
        None | Some(Value::Null) => Ok(T::default()),
        Some(value) => read(value),
    }
}

/// Reads a value as Go would.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    lenient::from_value(value).map_err(|e| ApiError::invalid(format!("invalid JSON: {e}")))
}
