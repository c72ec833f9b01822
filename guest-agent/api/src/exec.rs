//! `/containers/{name}/exec` and `/exec/{id}`.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::{BufMut, Bytes, BytesMut};
use engine::Engine;
use engine::containers::{ExecOutput, ExecRequest};
use futures::FutureExt;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::error::Result;
use crate::hijack::{Ended, Hijack, Streams};
use crate::query::Query;
use crate::routes::{Routes, to};
use crate::version::ApiVersion;
use crate::{body, reply};

/// How long an exit code may lag behind the end of the output.
const EXIT_CODE_PATIENCE: Duration = Duration::from_secs(5);

/// Adds the routes.
pub(crate) fn add(routes: Routes) -> Routes {
    routes
        .route("/containers/{name}/exec", post(to(create)))
        .route("/exec/{id}/start", post(to(start)))
        .route("/exec/{id}/resize", post(to(resize)))
        .route("/exec/{id}/json", get(to(inspect)))
}

/// Docker's `ExecOptions`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ExecOptions {
    user: String,
    privileged: bool,
    tty: bool,
    console_size: Option<[u32; 2]>,
    attach_stdin: bool,
    attach_stderr: bool,
    attach_stdout: bool,
    detach_keys: String,
    env: Vec<String>,
    working_dir: String,
    cmd: Option<Vec<String>>,
}

/// Docker's `ExecStartOptions`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct StartOptions {
    detach: bool,
    tty: bool,
    console_size: Option<[u32; 2]>,
}

fn size(pair: Option<[u32; 2]>) -> Option<(u16, u16)> {
    let [rows, cols] = pair?;
    let fit = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    (rows > 0 && cols > 0).then(|| (fit(rows), fit(cols)))
}

async fn create(
    State(engine): State<Arc<Engine>>,
    Path(name): Path<String>,
    version: ApiVersion,
    request: Request,
) -> Result {
    let options: ExecOptions = body::json(request).await?;
    let id = engine.create_exec(
        &name,
        ExecRequest {
            cmd: options.cmd.unwrap_or_default(),
            env: options.env,
            user: options.user,
            working_dir: options.working_dir,
            tty: options.tty,
            privileged: options.privileged,
            attach_stdin: options.attach_stdin,
            attach_stdout: options.attach_stdout,
            attach_stderr: options.attach_stderr,
            console_size: size(options.console_size).filter(|_| version.at_least(42)),
            detach_keys: options.detach_keys,
        },
    )?;
    Ok(reply::json(StatusCode::CREATED, &json!({ "Id": id })))
}

async fn start(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    version: ApiVersion,
    request: Request,
) -> Result {
    // The body has an end even when the connection is taken over after it.
    let (parts, content) = request.into_parts();
    let has_body = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
        .iter()
        .any(|name| parts.headers.contains_key(name));
    let options: StartOptions = if has_body {
        let mut copy = Request::new(content);
        *copy.headers_mut() = parts.headers.clone();
        body::json(copy).await?
    } else {
        StartOptions::default()
    };
    engine.check_exec(&id)?;
    let console_size = size(options.console_size).filter(|_| options.tty && version.at_least(42));
    if options.detach {
        let nowhere = ExecOutput::Nowhere;
        engine.start_exec(&id, nowhere, console_size).await?;
        return Ok(StatusCode::OK.into_response());
    }
    let hijack = Hijack::new(Request::from_parts(parts, axum::body::Body::empty()));
    let tty = options.tty;
    // The frames go by what is said here, whatever the session was created with.
    let output = if tty {
        ExecOutput::Raw
    } else {
        ExecOutput::Framed
    };
    let (shared, session) = (Arc::clone(&engine), id.clone());
    let streams = async move {
        match engine.start_exec(&id, output, console_size).await {
            Ok(started) => Streams {
                replay: None,
                process: started.stream,
                listener: None,
                scanner: started.scanner,
                exit: known(started.ended).boxed(),
                ends_with_input: false,
                epilogue: Bytes::new(),
            },
            Err(error) => Streams {
                replay: None,
                process: None,
                listener: None,
                scanner: None,
                exit: ready(()).boxed(),
                ends_with_input: false,
                epilogue: said(&format!("{error}\r\n"), tty),
            },
        }
    };
    let after = move |ended| {
        if ended == Ended::Detached {
            shared.exec_detached(&session);
        }
    };
    Ok(hijack.run(version, tty, streams, after))
}

/// Waits for the exit code of a process whose output has ended. It is on its way from the warden;
/// should it be lost, the client must not hang.
async fn known(mut ended: watch::Receiver<bool>) {
    let known = ended.wait_for(|known| *known);
    // Either way the connection ends now.
    let _ = tokio::time::timeout(EXIT_CODE_PATIENCE, known).await;
}

/// A text as the process's standard output.
fn said(text: &str, tty: bool) -> Bytes {
    let mut bytes = BytesMut::new();
    if !tty {
        bytes.put_slice(&[1, 0, 0, 0]);
        bytes.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    }
    bytes.put_slice(text.as_bytes());
    bytes.freeze()
}

async fn resize(State(engine): State<Arc<Engine>>, Path(id): Path<String>, query: Query) -> Result {
    let (rows, cols) = query.terminal_size()?;
    engine.resize_exec(&id, rows, cols).await?;
    Ok(StatusCode::OK.into_response())
}

async fn inspect(State(engine): State<Arc<Engine>>, Path(id): Path<String>) -> Result {
    let exec = engine.inspect_exec(&id)?;
    let request = &exec.request;
    let (entrypoint, arguments) = match request.cmd.split_first() {
        Some((first, rest)) => (first.as_str(), rest),
        None => ("", [].as_slice()),
    };
    let mut process = json!({
        "tty": request.tty,
        "entrypoint": entrypoint,
        "arguments": arguments,
        "privileged": request.privileged,
    });
    if !request.user.is_empty() {
        process["user"] = json!(request.user);
    }
    Ok(reply::ok(&json!({
        "ID": exec.id,
        "Running": exec.running,
        "ExitCode": exec.exit_code,
        "ProcessConfig": process,
        "OpenStdin": request.attach_stdin,
        "OpenStderr": request.attach_stderr,
        "OpenStdout": request.attach_stdout,
        "CanRemove": false,
        "ContainerID": exec.container,
        // Go writes bytes in base64.
        "DetachKeys": BASE64.encode(&exec.detach_keys),
        "Pid": exec.pid,
    })))
}
