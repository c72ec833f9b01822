//! One stream of a session.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use futures::Stream as _;
use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

use crate::session::Shared;
use crate::signals::Signal;

/// The acceptor's first byte: it has the stream. The opener does not wait for it.
pub(crate) const ACCEPTED: u8 = 6;

/// What the other end said about a stream outside of it.
#[derive(Debug, Default)]
pub(crate) struct Flag {
    abandoned: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Flag {
    /// The other end no longer reads.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.writer.wake();
    }

    /// The session has ended: the multiplexer does not wake those that wait when this end closes it.
    pub(crate) fn session_ended(&self) {
        self.reader.wake();
        self.writer.wake();
    }
}

/// Bytes of a stream as they crossed the link.
#[derive(Debug)]
pub struct Piece {
    packet: yamux::Packet,
    at: usize,
}

impl Piece {
    /// Those that are left.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.packet.as_ref()[self.at..]
    }

    /// Takes the first ones away.
    pub fn advance(&mut self, count: usize) {
        self.at += count;
    }
}

/// What can be read without a copy.
pub trait Pieces {
    /// The next piece, never empty; `None` at the end of the stream.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Piece>>>;
}

/// A stream with back-pressure. `shutdown` closes the writing direction only; the other end reads
/// an end of file and may go on writing. A stream that is dropped before both directions ended
/// is reset: the other end gets errors, never an end of file that looks clean.
#[derive(Debug)]
pub struct Stream {
    inner: Compat<yamux::Stream>,
    id: u32,
    shared: Arc<Shared>,
    flag: Arc<Flag>,
    /// The acceptor's first byte is still to come.
    unanswered: bool,
    /// Our end of file is sent.
    finished: bool,
    /// The other's is read.
    eof: bool,
    /// Held while a stream that we opened lives.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Stream {
    pub(crate) fn new(
        inner: yamux::Stream,
        shared: Arc<Shared>,
        flag: Arc<Flag>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let id = inner.id().val();
        let unanswered = permit.is_some();
        Self {
            inner: inner.compat(),
            id,
            shared,
            flag,
            unanswered,
            finished: false,
            eof: false,
            _permit: permit,
        }
    }

    /// What can't be done yet can't be done any more once the session has ended.
    fn or_ended<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_pending() && self.shared.has_ended() {
            let reason = self.shared.why_reset();
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, reason)));
        }
        poll
    }

    /// What comes before the first byte: the acceptor's.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Registered before the session is looked at: a wake-up in between is not lost.
        self.flag.reader.register(cx.waker());
        if self.unanswered {
            let mut byte = [0];
            let mut answer = ReadBuf::new(&mut byte);
            let read = Pin::new(&mut self.inner).poll_read(cx, &mut answer);
            ready!(self.or_ended(read))?;
            if answer.filled() != [ACCEPTED] {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "the other end of the link refused the stream",
                )));
            }
            self.unanswered = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The multiplexer shows an end of file for a reset and for a dead session as well.
    fn end_of_file(&mut self) -> io::Result<()> {
        let clean = self.eof
            || (!self.shared.has_ended()
                && !self.unanswered
                && (self.finished || !self.inner.get_ref().is_closed()));
        if clean {
            self.eof = true;
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                self.shared.why_reset(),
            ))
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_answer(cx))?;
        let before = buf.filled().len();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        ready!(this.or_ended(read))?;
        Poll::Ready(if buf.filled().len() == before {
            this.end_of_file()
        } else {
            Ok(())
        })
    }
}

impl Pieces for Stream {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Piece>>> {
        ready!(self.poll_answer(cx))?;
        loop {
            let next = Pin::new(self.inner.get_mut()).poll_next(cx);
            match ready!(self.or_ended(next.map(Option::transpose)))? {
                // All of it was read as bytes before.
                Some(packet) if packet.as_ref().is_empty() => {}
                Some(packet) => return Poll::Ready(Ok(Some(Piece { packet, at: 0 }))),
                None => return Poll::Ready(self.end_of_file().map(|()| None)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // Registered before the flag is looked at: a wake-up in between is not lost.
        this.flag.writer.register(cx.waker());
        if this.flag.abandoned.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let result = Pin::new(&mut this.inner).poll_write(cx, buf);
        let result = ready!(this.or_ended(result));
        Poll::Ready(result.map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.finished || self.flag.abandoned.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(result.map_err(|_| io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished {
            // Failing to say goodbye to a dead session is no failure.
            let _ = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
            self.finished = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.forget(self.id);
        if self.finished && !self.eof {
            // The multiplexer has no word for this once our end of file is sent: the other end
            // would write until its window is full, and then wait for ever.
            self.shared.signal(Signal::Abandon(self.id));
        }
    }
}
