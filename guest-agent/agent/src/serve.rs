//! Accepting: API connections on a socket, and one link at a time, whose streams are API
//! connections and control streams.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Context;
use api::Api;
use engine::{Engine, Machine};
use link::{Incoming, Opener, Service};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;

use crate::arguments::Link;
use crate::control;
use crate::serial::SerialPort;

/// The API, built while the link comes up.
pub(crate) type LazyApi = Arc<LazyLock<Api, Box<dyn FnOnce() -> Api + Send>>>;

/// How long to wait before a port or a listener that failed is tried again.
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
                tokio::spawn(async move { api.serve(stream).await });
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
    let host = Host {
        api,
        engine,
        machine,
    };
    match link {
        Link::Serial(name) => host.serial(&name).await,
        Link::Unix(path) => match listen(&path) {
            Ok(listener) => {
                host.listener(|| async { listener.accept().await.map(|(stream, _)| stream) })
                    .await;
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "no link"),
        },
        Link::Vsock(port) => {
            let address = tokio_vsock::VsockAddr::new(tokio_vsock::VMADDR_CID_ANY, port);
            match tokio_vsock::VsockListener::bind(address) {
                Ok(listener) => {
                    host.listener(|| async { listener.accept().await.map(|(stream, _)| stream) })
                        .await;
                }
                Err(error) => tracing::error!(%error, port, "no link: listening on vsock failed"),
            }
        }
    }
}

/// Who serves the sessions of a link.
struct Host {
    api: LazyApi,
    engine: Arc<Engine>,
    machine: Machine,
}

impl Host {
    /// A port outlives the host's program: sessions follow each other on it.
    async fn serial(&self, name: &str) {
        let mut complained = false;
        let mut new = true;
        loop {
            match SerialPort::open(name) {
                Ok(mut port) => {
                    complained = false;
                    while !port.is_connected() {
                        tokio::time::sleep(RETRY).await;
                    }
                    if std::mem::take(&mut new) {
                        link::hail(&mut port).await;
                    }
                    self.session(port).await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        tracing::warn!(%error, name, "the link's port can't be opened");
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Each connection is a session; a new one ends the one before.
    async fn listener<S, F>(&self, accept: impl Fn() -> F)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Future<Output = std::io::Result<S>>,
    {
        let mut next = None;
        loop {
            let stream = match next.take() {
                Some(stream) => stream,
                None => match accept().await {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "accepting the link failed");
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                },
            };
            tokio::select! {
                () = self.session(stream) => {}
                newer = accept() => next = newer.ok(),
            }
        }
    }

    async fn session<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match link::guest(stream).await {
            Ok((opener, incoming)) => self.streams(CloseOnDrop(opener), incoming).await,
            Err(error) => tracing::debug!(%error, "no session on the link"),
        }
    }

    async fn streams(&self, _opener: CloseOnDrop, mut incoming: Incoming) {
        tracing::info!("the host is connected");
        while let Some((service, stream)) = incoming.accept().await {
            match service {
                Service::Api => {
                    let api = Arc::clone(&self.api);
                    tokio::spawn(async move { api.serve(stream).await });
                }
                Service::Control => {
                    let engine = Arc::clone(&self.engine);
                    tokio::spawn(control::serve(stream, engine, self.machine));
                }
            }
        }
        tracing::info!("the host is disconnected");
    }
}

/// Ends the session when a newer one takes its place.
struct CloseOnDrop(Opener);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
