//! What the engine serves: API connections on a socket, and on the link API connections and control
//! streams.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Context;
use api::Api;
use engine::{Engine, Machine};
use link::Service;
use link::head_first::HeadFirst;
use tokio::net::UnixListener;

use crate::arguments::Link;
use crate::{control, resolve, sessions};

/// The API, built while the link comes up.
pub(crate) type LazyApi = Arc<LazyLock<Api, Box<dyn FnOnce() -> Api + Send>>>;

/// How long to wait before a listener that failed is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Listens on a Unix socket that only its owner may use.
pub(crate) fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("removing the old socket {}", path.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("setting the mode of {}", path.display()))?;
    Ok(listener)
}

/// Serves the API on a socket of its own.
pub(crate) async fn api(listener: UnixListener, api: LazyApi) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let api = Arc::clone(&api);
                tokio::spawn(async move { api.serve(HeadFirst::new(stream)).await });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Serves the link for ever.
pub(crate) async fn link(link: Link, api: LazyApi, engine: Arc<Engine>, machine: Machine) {
    let take = |service, stream| match service {
        Service::Api => {
            let api = Arc::clone(&api);
            tokio::spawn(async move { api.serve(stream).await });
        }
        Service::Control => {
            tokio::spawn(control::serve(stream, Arc::clone(&engine), machine));
        }
        Service::Resolve if machine == Machine::Vm => {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { resolve::serve(stream, &engine).await });
        }
        // Natively the resolver is the engine's own.
        Service::Resolve => {}
        // Connections to ports are to outlive the engine: they have a link of their own.
        Service::Port => tracing::warn!("the host asks the engine for a port"),
    };
    sessions::serve(link, take).await;
}
