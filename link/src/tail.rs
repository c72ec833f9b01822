//! A byte stream whose first bytes were read already, and that tells when it ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is left of a byte stream after the handshake.
#[derive(Debug)]
pub(crate) struct Tail<T> {
    head: Vec<u8>,
    io: T,
    /// Set before the multiplexer learns of the end, which shows it to its streams as a clean
    /// end of each.
    ended: Arc<AtomicBool>,
}

impl<T> Tail<T> {
    pub(crate) fn new(head: Vec<u8>, io: T, ended: Arc<AtomicBool>) -> Self {
        Self { head, io, ended }
    }

    fn note<V>(&self, result: io::Result<V>) -> io::Result<V> {
        if result.is_err() {
            self.ended.store(true, Ordering::Release);
        }
        result
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Tail<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.head.is_empty() {
            let count = self.head.len().min(buf.remaining());
            buf.put_slice(&self.head[..count]);
            self.head.drain(..count);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if result.is_ok() && buf.filled().len() == before {
            self.ended.store(true, Ordering::Release);
        }
        Poll::Ready(self.note(result))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Tail<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        Poll::Ready(self.note(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.io).poll_flush(cx));
        Poll::Ready(self.note(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
