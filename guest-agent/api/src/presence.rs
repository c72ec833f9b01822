//! Noticing that a client has gone while an answer without an end (events, a followed log, a wait)
//! is on its way to it. HTTP alone would tell only at the next write, which may never come.
//!
//! hyper does not read while it answers, so a task of ours reads ahead for it; the end of what the
//! client sends is the sign. Answers that have an end, and raw streams, go on after it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream,
    ReadBuf, ReadHalf, WriteHalf,
};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// So much is read ahead.
const AHEAD: usize = 64 * 1024;

/// Whether the client of a connection is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence(CancellationToken);

impl Presence {
    /// Waits until the client has closed its sending side.
    pub(crate) fn gone(self) -> impl Future<Output = ()> + Send + 'static {
        self.0.cancelled_owned()
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
    let _ = first_line(&mut client, &mut ahead).await;
    let _ = tokio::io::copy_buf(&mut client, &mut ahead).await;
    presence.0.cancel();
    let _ = ahead.shutdown().await;
}

/// People write `?filters={"name":["a"]}` by hand. Go reads that; hyper refuses marks that should be
/// escaped. Programs escape them, so the first request of a connection is all that is looked at.
async fn first_line(
    client: &mut (impl AsyncBufRead + Unpin),
    ahead: &mut DuplexStream,
) -> io::Result<()> {
    let first = client.fill_buf().await?;
    let line = first.split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default();
    if !line.iter().any(|byte| br#""<>`"#.contains(byte)) {
        return Ok(());
    }
    let mut escaped = Vec::with_capacity(line.len() + 64);
    for byte in line {
        match byte {
            b'"' | b'<' | b'>' | b'`' => escaped.extend(format!("%{byte:02X}").bytes()),
            other => escaped.push(*other),
        }
    }
    let length = line.len();
    client.consume(length);
    ahead.write_all(&escaped).await
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
    use tokio::io::AsyncReadExt;

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
}
