//! Taking a connection over from HTTP: the raw streams of attach and exec.
//!
//! Clients ask for it with `Upgrade: tcp` and get 101. Old ones send no such header and get a
//! plain 200 whose body is the stream, ended by the end of the connection; what they send behind
//! the request's body is input too (if it is the connection's first).

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use engine::containers::{DetachScanner, Listener, LogChunks, Scanned};
use futures::future::BoxFuture;
use http::{HeaderValue, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::ext::ReasonPhrase;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::error::ApiError;
use crate::presence::Presence;
use crate::version::ApiVersion;

/// Bytes are moved in pieces of this size.
const PIECE: usize = 32 * 1024;

/// How long a client may go on writing behind the end.
const LINGER: Duration = Duration::from_secs(60);

/// A connection about to be taken over.
pub(crate) struct Hijack {
    upgrade: Option<OnUpgrade>,
    /// What old clients send in the request and behind it.
    body: Body,
    rest: DuplexStream,
}

/// What is pumped.
pub(crate) struct Streams {
    /// Sent first.
    pub(crate) replay: Option<LogChunks>,
    /// The process's streams.
    pub(crate) process: Option<UnixStream>,
    /// Dropped when the client has had all of the output.
    pub(crate) listener: Option<Listener>,
    /// Watches for the detach keys.
    pub(crate) scanner: Option<DetachScanner>,
    /// Ready when everybody can know that the process has ended: a client asks for its exit code as
    /// soon as its connection ends.
    pub(crate) exit: BoxFuture<'static, ()>,
    /// Whether the client's end of input ends the connection.
    pub(crate) ends_with_input: bool,
    /// Sent last, as when an exec could not be started.
    pub(crate) epilogue: Bytes,
}

/// How pumping ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The client typed the detach keys.
    Detached,
    /// The process or the client closed.
    Closed,
}

impl Hijack {
    /// Takes from the request what is needed. With an upgrade its body has been read by now.
    pub(crate) fn new(mut request: Request) -> Self {
        let wants_upgrade = request.headers().contains_key(header::UPGRADE);
        let upgrade = if wants_upgrade {
            request.extensions_mut().remove::<OnUpgrade>()
        } else {
            None
        };
        let rest = request
            .extensions()
            .get::<Presence>()
            .and_then(Presence::take_over)
            // Nobody is at its other end: it is empty.
            .unwrap_or_else(|| tokio::io::duplex(1).0);
        Self {
            upgrade,
            body: request.into_body(),
            rest,
        }
    }

    /// Answers the request and moves bytes in the background until the end, then calls `after`.
    pub(crate) fn run<F>(
        self,
        version: ApiVersion,
        tty: bool,
        streams: impl Future<Output = Streams> + Send + 'static,
        after: F,
    ) -> Response
    where
        F: FnOnce(Ended) + Send + 'static,
    {
        let Some(upgrade) = self.upgrade else {
            return legacy(self.body, self.rest, streams, after);
        };
        tokio::spawn(async move {
            match upgrade.await {
                Ok(client) => after(pump(TokioIo::new(client), streams.await).await),
                Err(error) => tracing::debug!(%error, "the client left before its upgrade"),
            }
        });
        let content_type = if !tty && version.at_least(42) {
            "application/vnd.docker.multiplexed-stream"
        } else {
            "application/vnd.docker.raw-stream"
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
            .extensions_mut()
            .insert(ReasonPhrase::from_static(b"UPGRADED"));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
        response
    }
}

/// An answer to somebody who wants to attach and can't: Docker has taken the connection over by then, and
/// writes a line of text.
pub(crate) fn refusal(error: impl Into<ApiError>) -> Response {
    let ApiError { status, message } = error.into();
    let mut response = Response::new(Body::from(format!("{message}\r\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/vnd.docker.raw-stream"),
    );
    response
}

fn legacy<F>(
    body: Body,
    rest: DuplexStream,
    streams: impl Future<Output = Streams> + Send + 'static,
    after: F,
) -> Response
where
    F: FnOnce(Ended) + Send + 'static,
{
    let (ours, theirs) = tokio::io::duplex(PIECE);
    tokio::spawn(async move {
        let body = StreamReader::new(body.into_data_stream_with_io_errors());
        let input = body.chain(rest);
        after(pump(tokio::io::join(input, ours), streams.await).await);
    });
    let mut response = Response::new(Body::from_stream(ReaderStream::new(theirs)));
    // HTTP/1.0 knows no chunks: the body is raw and ends with the connection.
    *response.version_mut() = Version::HTTP_10;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/vnd.docker.raw-stream"),
    );
    response
}

/// A body as a stream of pieces with IO errors, for [`StreamReader`].
trait IntoIoStream {
    fn into_data_stream_with_io_errors(
        self,
    ) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static;
}

impl IntoIoStream for Body {
    fn into_data_stream_with_io_errors(
        self,
    ) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static {
        BodyExt::into_data_stream(self.map_err(std::io::Error::other))
    }
}

/// Moves bytes until the process's output ends or the client is gone.
async fn pump<C>(client: C, streams: Streams) -> Ended
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Streams {
        replay,
        process,
        listener,
        scanner,
        exit,
        ends_with_input,
        epilogue,
    } = streams;
    let (mut client_reads, mut client_writes) = tokio::io::split(client);
    if let Some(mut replay) = replay {
        while let Some(chunk) = replay.chunks.recv().await {
            if client_writes.write_all(&chunk).await.is_err() {
                return Ended::Closed;
            }
        }
    }
    let mut ended = Ended::Closed;
    if let Some(process) = process {
        let (process_reads, process_writes) = process.into_split();
        let output = async {
            output(process_reads, &mut client_writes).await;
            drop(listener);
            exit.await;
        };
        let input = async {
            let end = input(&mut client_reads, process_writes, scanner).await;
            match end {
                // After a half-close the output still flows.
                None if !ends_with_input => std::future::pending().await,
                end => end.unwrap_or(Ended::Closed),
            }
        };
        tokio::select! {
            biased;
            () = output => {}
            by_client = input => ended = by_client,
        }
    }
    // A client that is gone can't be told anything.
    let _ = client_writes.write_all(&epilogue).await;
    let _ = client_writes.shutdown().await;
    // As in Docker only our end is closed: who is still writing is not cut off.
    tokio::spawn(async move {
        let silence = &mut tokio::io::sink();
        let _ = timeout(LINGER, tokio::io::copy(&mut client_reads, silence)).await;
    });
    ended
}

async fn output(mut process: tokio::net::unix::OwnedReadHalf, mut client: impl AsyncWrite + Unpin) {
    let mut piece = vec![0; PIECE];
    loop {
        match process.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if client.write_all(&piece[..n]).await.is_err() || client.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Returns nothing at the end of the client's input, else that the client has detached or its
/// connection is broken.
async fn input(
    mut client: impl AsyncRead + Unpin,
    mut process: tokio::net::unix::OwnedWriteHalf,
    mut scanner: Option<DetachScanner>,
) -> Option<Ended> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = match client.read(&mut piece).await {
            Ok(0) => break,
            Ok(n) => &piece[..n],
            Err(_) => return Some(Ended::Closed),
        };
        let forward = match scanner.as_mut().map(|scanner| scanner.scan(read)) {
            None => read.to_vec(),
            Some(Scanned::Forward(bytes)) => bytes,
            Some(Scanned::Detach(bytes)) => {
                // What was typed before the keys still counts; failing that, we leave anyway.
                let _ = process.write_all(&bytes).await;
                return Some(Ended::Detached);
            }
        };
        if process.write_all(&forward).await.is_err() {
            // The process does not read any more; its output may still flow.
            return std::future::pending().await;
        }
    }
    // The process sees the end of its input; a socket that is closed already has shown it.
    let _ = process.shutdown().await;
    None
}
