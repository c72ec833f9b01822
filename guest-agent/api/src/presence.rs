//! Noticing that a client has gone while an answer without an end (events, a followed log, a wait)
//! is on its way to it. HTTP alone would tell only at the next write, which may never come.
//!
//! hyper does not read while it answers, so a task of ours reads ahead for it; the end of what the
//! client sends is the sign. Answers that have an end, and raw streams, go on after it.
//!
//! The same task keeps apart what an old client sends behind an attach or the start of an exec: it
//! takes the connection over without saying so, and hyper would read another request there.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::io::{
    AsyncBufRead, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream,
    ReadBuf, ReadHalf, WriteHalf,
};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// So much is read ahead.
const AHEAD: usize = 64 * 1024;

/// Whether the client of a connection is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence {
    gone: CancellationToken,
    /// Where the bytes behind the first request are asked for.
    rest: Arc<Mutex<Option<oneshot::Sender<DuplexStream>>>>,
}

impl Presence {
    /// Waits until the client has closed its sending side.
    pub(crate) fn gone(self) -> impl Future<Output = ()> + Send + 'static {
        self.gone.cancelled_owned()
    }

    /// What the client sends behind its request, if that takes the connection over.
    pub(crate) fn take_over(&self) -> Option<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(AHEAD);
        self.rest().take()?.send(theirs).ok()?;
        Some(ours)
    }

    /// Nobody has taken the connection over: what comes are requests.
    pub(crate) fn goes_on(&self) {
        self.rest().take();
    }

    fn rest(&self) -> MutexGuard<'_, Option<oneshot::Sender<DuplexStream>>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Sync> FromRequestParts<S> for Presence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// A client's connection that is read ahead.
pub(crate) struct Connection<S> {
    reader: DuplexStream,
    writer: WriteHalf<S>,
    reading: AbortHandle,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Connection<S> {
    /// Takes the stream over.
    pub(crate) fn new(stream: S) -> (Self, Presence) {
        let (from_client, writer) = tokio::io::split(stream);
        let (reader, ahead) = tokio::io::duplex(AHEAD);
        let presence = Presence::default();
        let reading = tokio::spawn(read_ahead(from_client, ahead, presence.clone()));
        let reading = reading.abort_handle();
        let connection = Self {
            reader,
            writer,
            reading,
        };
        (connection, presence)
    }
}

async fn read_ahead<S: AsyncRead>(
    client: ReadHalf<S>,
    mut ahead: DuplexStream,
    presence: Presence,
) {
    let mut client = BufReader::with_capacity(AHEAD, client);
    // An error and an end are the same here: nothing more will come.
    let _ = first_request(&mut client, &mut ahead, &presence).await;
    let _ = tokio::io::copy_buf(&mut client, &mut ahead).await;
    presence.gone.cancel();
    let _ = ahead.shutdown().await;
}

/// Hands the first request on; and all that follows it to whoever takes the connection over.
async fn first_request(
    client: &mut (impl AsyncBufRead + Unpin),
    ahead: &mut DuplexStream,
    presence: &Presence,
) -> io::Result<()> {
    let mut first = Vec::with_capacity(AHEAD);
    while client.read_buf(&mut first).await? > 0 && may_take_over(&first) {}
    let Some(length) = taking_over(&first) else {
        return ahead.write_all(&escaped(&first)).await;
    };
    let (sender, taken) = oneshot::channel();
    *presence.rest() = Some(sender);
    let (request, behind) = first.split_at(length.min(first.len()));
    ahead.write_all(&escaped(request)).await?;
    let mut body = (&mut *client).take((length - request.len()) as u64);
    tokio::io::copy_buf(&mut body, ahead).await?;
    let Ok(mut rest) = taken.await else {
        return ahead.write_all(behind).await;
    };
    rest.write_all(behind).await?;
    tokio::io::copy_buf(client, &mut rest).await?;
    rest.shutdown().await
}

/// Whether a head that has not come whole can be one of [`taking_over`].
fn may_take_over(first: &[u8]) -> bool {
    let start = &first[..first.len().min(5)];
    let whole = first.windows(4).any(|four| four == b"\r\n\r\n");
    first.len() < AHEAD && !whole && b"POST ".starts_with(start)
}

/// How long a request is that makes its connection a stream without asking for an upgrade.
fn taking_over(first: &[u8]) -> Option<usize> {
    let head = first.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&first[..head]).ok()?;
    let mut lines = text.split("\r\n");
    let path = lines.next()?.strip_prefix("POST ")?;
    let mut parts = path.split([' ', '?']).next()?.rsplit('/');
    let (verb, _id, kind) = (parts.next()?, parts.next()?, parts.next()?);
    if !matches!((kind, verb), ("containers", "attach") | ("exec", "start")) {
        return None;
    }
    let mut body = 0;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "upgrade" | "transfer-encoding" => return None,
            "content-length" => body = value.trim().parse::<usize>().ok()?,
            _ => {}
        }
    }
    head.checked_add(4)?.checked_add(body)
}

/// People write `?filters={"name":["a"]}` by hand. Go reads that; hyper refuses marks that should be
/// escaped. Programs escape them, so the first request of a connection is all that is looked at.
fn escaped(request: &[u8]) -> Vec<u8> {
    let line = request.iter().position(|byte| *byte == b'\n');
    let (line, rest) = request.split_at(line.unwrap_or(request.len()));
    let mut escaped = Vec::with_capacity(request.len() + 64);
    for byte in line {
        match byte {
            b'"' | b'<' | b'>' | b'`' => escaped.extend(format!("%{byte:02X}").bytes()),
            other => escaped.push(*other),
        }
    }
    escaped.extend(rest);
    escaped
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        // The task holds one half of the stream and would keep it open.
        self.reading.abort();
    }
}

impl<S> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn the_end_is_noticed_and_what_was_sent_is_kept() {
        let (mut client, server) = tokio::io::duplex(1024);
        let (mut connection, presence) = Connection::new(server);
        client.write_all(b"request").await.unwrap();
        client.shutdown().await.unwrap();
        presence.gone().await;
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "request");
        // Half-close: the answer still goes out.
        connection.write_all(b"answer").await.unwrap();
        drop(connection);
        text.clear();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer");
    }

    #[test]
    fn requests_that_become_streams_are_known() {
        let length = |text: &str| taking_over(text.as_bytes());
        let attach = "POST /v1.41/containers/box/attach?stdin=1 HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(length(&format!("{attach}input")), Some(attach.len()));
        let start = "POST /exec/1/start HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(length(start), Some(start.len()));
        for other in [
            "POST /containers/box/start HTTP/1.1\r\n\r\n",
            "GET /containers/box/attach HTTP/1.1\r\n\r\n",
            "POST /containers/box/attach HTTP/1.1\r\nUpgrade: tcp\r\n\r\n",
            "POST /containers/box/attach HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "POST /containers/box/attach HTTP/1.1\r\n",
            "POST /attach HTTP/1.1\r\n\r\n",
            "",
        ] {
            assert_eq!(length(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn what_follows_goes_to_whoever_takes_over() {
        const HEAD: &str = "POST /containers/box/attach HTTP/1.1\r\n\r\n";
        for taken in [true, false] {
            let (mut client, server) = tokio::io::duplex(1024);
            let (mut connection, presence) = Connection::new(server);
            client.write_all(HEAD.as_bytes()).await.unwrap();
            client.write_all(b"more").await.unwrap();
            client.shutdown().await.unwrap();
            let mut head = vec![0; HEAD.len()];
            connection.read_exact(&mut head).await.unwrap();
            let mut rest = String::new();
            if taken {
                let mut stream = presence.take_over().unwrap();
                stream.read_to_string(&mut rest).await.unwrap();
            } else {
                presence.goes_on();
                connection.read_to_string(&mut rest).await.unwrap();
            }
            assert_eq!(rest, "more");
        }
    }
}
