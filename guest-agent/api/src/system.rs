//! `/_ping`, `/version`, `/info`, `/system/df`.

mod df;
mod info;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::{Engine, VERSION};
use http::{HeaderValue, Method, header};
use serde_json::json;

use crate::error::Result;
use crate::reply;
use crate::version::{CURRENT, OLDEST};

pub(crate) use df::disk_usage;
pub(crate) use info::info;

/// `GET` or `HEAD /_ping`: answered once there is a disk to work on, and before it is read.
pub(crate) async fn ping(State(engine): State<Arc<Engine>>, method: Method) -> Response {
    engine.connected().await;
    let body = if method == Method::HEAD { "" } else { "OK" };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::PRAGMA, "no-cache"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("builder-version", HeaderValue::from_static("1"));
    headers.insert("swarm", HeaderValue::from_static("inactive"));
    response
}

/// Go's name of the architecture.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `GET /version`.
pub(crate) async fn version(State(engine): State<Arc<Engine>>) -> Result {
    let kernel = engine.kernel();
    let architecture = go_architecture();
    Ok(reply::ok(&json!({
        "Platform": { "Name": format!("Slipway {VERSION}") },
        "Components": [{
            "Name": "Engine",
            "Version": VERSION,
            "Details": {
                "ApiVersion": CURRENT.to_string(),
                "Arch": architecture,
                "BuildTime": "",
                "Experimental": "false",
                "GitCommit": "",
                "GoVersion": "none (Rust)",
                "KernelVersion": kernel,
                "MinAPIVersion": OLDEST.to_string(),
                "Os": "linux",
            },
        }],
        "Version": VERSION,
        "ApiVersion": CURRENT.to_string(),
        "MinAPIVersion": OLDEST.to_string(),
        "GitCommit": "",
        "GoVersion": "none (Rust)",
        "Os": "linux",
        "Arch": architecture,
        "KernelVersion": kernel,
        "BuildTime": "",
    })))
}
