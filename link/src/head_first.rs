//! A client's socket whose connection may be taken over from HTTP. What follows the head of such an
//! answer is held back until the client has read the head: Python's `http.client` reads it through
//! a buffer, and docker-py then reads on beside that buffer, so output that arrived together with
//! the head would be lost.

#[cfg(unix)]
mod unix;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

const HEAD: &[u8] = b"HTTP/1.1 101 ";

/// How often it is asked whether the head was read.
const STEP: Duration = Duration::from_millis(1);

/// A client that has not read its head after this time is not one that waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time for reading where nobody can tell.
const GRACE: Duration = Duration::from_millis(10);

/// The other end of a socket.
pub trait Peer {
    /// Whether it has read all that was written; `None` when that can't be known.
    fn has_read_all(&self) -> Option<bool> {
        None
    }
}

/// The socket.
#[derive(Debug)]
pub struct HeadFirst<S> {
    socket: S,
    /// The head was written and is waited for.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    step: Pin<Box<Sleep>>,
}

impl<S> HeadFirst<S> {
    /// Wraps a client's socket before anything was written to it.
    pub fn new(socket: S) -> Self {
        Self {
            socket,
            waiting: None,
        }
    }
}

impl<S: AsyncWrite + Peer + Unpin> HeadFirst<S> {
    fn poll_read_by_peer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(waiting) = &mut self.waiting {
            let passed = waiting.since.elapsed();
            let over = match self.socket.has_read_all() {
                Some(read) => read || passed >= PATIENCE,
                None => passed >= GRACE,
            };
            if over {
                self.waiting = None;
            } else {
                ready!(waiting.step.as_mut().poll(cx));
                waiting.step.as_mut().reset(Instant::now() + STEP);
            }
        }
        Poll::Ready(())
    }

    fn poll_write_head(&mut self, cx: &mut Context<'_>, head: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, head))?;
        if written == head.len() {
            self.waiting = Some(Waiting {
                since: Instant::now(),
                step: Box::pin(sleep(STEP)),
            });
        }
        Poll::Ready(Ok(written))
    }
}

/// The head of an answer by which a connection is taken over.
fn head(bytes: &[u8]) -> Option<&[u8]> {
    let end = b"\r\n\r\n";
    let at = bytes
        .starts_with(HEAD)
        .then(|| bytes.windows(end.len()).position(|found| found == end))??;
    Some(&bytes[..at + end.len()])
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadFirst<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Peer + Unpin> AsyncWrite for HeadFirst<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_read_by_peer(cx));
        match head(buf) {
            Some(head) => self.poll_write_head(cx, head),
            None => Pin::new(&mut self.socket).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_read_by_peer(cx));
        let first = bufs.iter().find(|buf| !buf.is_empty());
        match first.and_then(|buf| head(buf)) {
            Some(head) => self.poll_write_head(cx, head),
            None => Pin::new(&mut self.socket).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    const TAKEN_OVER: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n";

    /// What a client reads at once that is late.
    async fn first_piece(answer: &'static [&'static [u8]]) -> Vec<u8> {
        let (ours, mut client) = UnixStream::pair().unwrap();
        let mut ours = HeadFirst::new(ours);
        let writing = tokio::spawn(async move {
            for piece in answer {
                ours.write_all(piece).await.unwrap();
            }
            ours.shutdown().await.unwrap();
        });
        sleep(Duration::from_millis(50)).await;
        let mut first = vec![0; 8192];
        let count = client.read(&mut first).await.unwrap();
        first.truncate(count);
        let mut all = first.clone();
        client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, answer.concat());
        writing.await.unwrap();
        first
    }

    #[tokio::test]
    async fn a_head_is_read_alone() {
        assert_eq!(first_piece(&[TAKEN_OVER, b"output"]).await, TAKEN_OVER);
        let together: &[&[u8]] = &[b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\noutput"];
        assert_eq!(first_piece(together).await, TAKEN_OVER);
    }

    #[tokio::test]
    async fn a_head_does_not_overtake_what_is_before_it() {
        let (ours, mut client) = UnixStream::pair().unwrap();
        let mut ours = HeadFirst::new(ours);
        let pieces = [&b"before"[..], TAKEN_OVER].map(IoSlice::new);
        let count = ours.write_vectored(&pieces).await.unwrap();
        let mut read = vec![0; count];
        client.read_exact(&mut read).await.unwrap();
        assert!(read.starts_with(b"before"));
    }

    #[tokio::test]
    async fn other_answers_are_not_held_back() {
        let answer: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n\r\n", b"body"];
        assert_eq!(first_piece(answer).await, answer.concat());
    }

    #[tokio::test]
    async fn a_client_that_left_is_not_waited_for() {
        let (ours, client) = UnixStream::pair().unwrap();
        let mut ours = HeadFirst::new(ours);
        ours.write_all(TAKEN_OVER).await.unwrap();
        drop(client);
        let writing = ours.write_all(b"output");
        let answer = tokio::time::timeout(PATIENCE / 2, writing).await;
        assert_eq!(
            answer.unwrap().unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
