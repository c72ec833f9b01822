//! One session of a link at a time, for ever; whoever serves the link takes its streams.

use std::io::ErrorKind::BrokenPipe;
use std::time::Duration;

use link::{Incoming, Opener, Service, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

use crate::arguments::Link;
use crate::serial::SerialPort;
use crate::serve::listen;
use crate::vsock;

/// How long to wait before a port or a listener that failed is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Serves the link for ever. `take` must not block.
pub(crate) async fn serve(link: Link, take: impl Fn(Service, Stream)) {
    let sessions = Sessions { take };
    match link {
        Link::Serial(name) => sessions.serial(&name).await,
        Link::Unix(path) => match listen(&path) {
            Ok(listener) => {
                sessions
                    .listener(|| async { listener.accept().await.map(|(stream, _)| stream) })
                    .await;
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "no link"),
        },
        Link::Vsock(port, key) => {
            let connections = Mutex::new(vsock::connections(port, key));
            let next = || async { connections.lock().await.recv().await };
            sessions
                .listener(|| async { next().await.ok_or_else(|| BrokenPipe.into()) })
                .await;
        }
    }
}

struct Sessions<F> {
    take: F,
}

impl<F: Fn(Service, Stream)> Sessions<F> {
    /// A port outlives the host's program: sessions follow each other on it.
    async fn serial(&self, name: &str) {
        let mut complained = false;
        let mut new = true;
        loop {
            match SerialPort::open(name, RETRY).await {
                Ok(mut port) => {
                    complained = false;
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
    async fn listener<S, A>(&self, accept: impl Fn() -> A)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        A: Future<Output = std::io::Result<S>>,
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
            (self.take)(service, stream);
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
