//! `POST /containers/{name}/attach` and `/resize`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use engine::Engine;
use engine::containers::{AttachRequest, WaitCondition};
use futures::FutureExt;
use http::StatusCode;

use crate::error::Result;
use crate::hijack::{self, Ended, Hijack, Streams};
use crate::query::Query;
use crate::version::ApiVersion;

/// `POST /containers/{name}/attach`.
pub(crate) async fn attach(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    version: ApiVersion,
    query: Query,
    request: Request,
) -> Result {
    let wanted = AttachRequest {
        logs: query.flag("logs"),
        stream: query.flag("stream"),
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        detach_keys: query.text("detachKeys").to_owned(),
        raw: false,
    };
    let attachment = match engine.attach_container(&name, wanted).await {
        Ok(attachment) => attachment,
        Err(error) => return Ok(hijack::refusal(error)),
    };
    let exit = engine.wait_container(&name, WaitCondition::NotRunning)?;
    let tty = attachment.tty;
    let streams = Streams {
        replay: attachment.replay,
        process: attachment.stream,
        listener: attachment.listener,
        scanner: attachment.scanner,
        exit: exit.map(drop).boxed(),
        ends_with_input: attachment.ends_with_input,
        epilogue: Bytes::new(),
    };
    let after = move |ended| {
        if ended == Ended::Detached {
            engine.detached(&name);
        }
    };
    Ok(Hijack::new(request).run(version, tty, async move { streams }, after))
}

/// `POST /containers/{name}/resize`.
pub(crate) async fn resize(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    query: Query,
) -> Result {
    let (rows, cols) = query.terminal_size()?;
    engine.resize_container(&name, rows, cols).await?;
    Ok(StatusCode::OK.into_response())
}
