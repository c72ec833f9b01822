//! Copying both ways between a socket and a stream of the link, each direction to its own end.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::stream::{Piece, Pieces};

/// Room for the first bytes from a socket, and at most: it grows while it is filled.
const ROOM: (usize, usize) = (4 * 1024, 256 * 1024);

/// So much from the link is written at once, and in so many pieces.
const TOGETHER: (usize, usize) = (256 * 1024, 64);

/// Copies until both directions ended, or one broke. An end of file is passed on and the other
/// direction goes on; a break ends both, and whoever drops the streams tells their other ends.
///
/// # Errors
/// When a direction broke.
pub async fn both_ways<S, L>(socket: &mut S, link: &mut L) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    L: Pieces + AsyncWrite + Unpin,
{
    let mut there = Direction::new(FromSocket {
        buffer: BytesMut::new(),
        room: ROOM.0,
    });
    let mut back = Direction::new(FromLink::default());
    std::future::poll_fn(|cx| {
        let there = there.poll(cx, socket, link)?;
        let back = back.poll(cx, link, socket)?;
        if there.is_ready() && back.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// What was read and is not written yet.
trait Source<R> {
    /// Whether nothing is left.
    fn is_empty(&self) -> bool;
    /// Writes some of it; the count of bytes.
    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<usize>>;
    /// Reads; called when nothing is left. `false` at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, reader: &mut R) -> Poll<io::Result<bool>>;
    /// Nothing is on its way: holds no memory.
    fn rest(&mut self);
}

struct FromSocket {
    buffer: BytesMut,
    room: usize,
}

impl<R: AsyncRead + Unpin> Source<R> for FromSocket {
    fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(writer).poll_write(cx, &self.buffer))?;
        self.buffer.advance(written);
        Poll::Ready(Ok(written))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, reader: &mut R) -> Poll<io::Result<bool>> {
        self.buffer.reserve(self.room);
        let count = ready!(poll_read_buf(Pin::new(reader), cx, &mut self.buffer))?;
        if count >= self.room {
            self.room = (self.room * 4).min(ROOM.1);
        }
        Poll::Ready(Ok(count > 0))
    }

    fn rest(&mut self) {
        self.buffer = BytesMut::new();
    }
}

/// Pieces as they crossed the link: in an emulated machine each copy counts. Those that are there
/// already go together: so do the packets that become of them.
#[derive(Default)]
struct FromLink(VecDeque<Piece>);

impl<R: Pieces> Source<R> for FromLink {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); TOGETHER.1];
        for (slice, piece) in slices.iter_mut().zip(&self.0) {
            *slice = IoSlice::new(piece.bytes());
        }
        let slices = &slices[..self.0.len()];
        let written = ready!(Pin::new(writer).poll_write_vectored(cx, slices))?;
        let mut rest = written;
        while let Some(first) = self.0.front_mut() {
            let length = first.bytes().len();
            if rest < length {
                first.advance(rest);
                break;
            }
            rest -= length;
            self.0.pop_front();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, reader: &mut R) -> Poll<io::Result<bool>> {
        let Some(first) = ready!(reader.poll_piece(cx))? else {
            return Poll::Ready(Ok(false));
        };
        let mut bytes = first.bytes().len();
        self.0.push_back(first);
        // An end or a break shows again.
        while bytes < TOGETHER.0
            && self.0.len() < TOGETHER.1
            && let Poll::Ready(Ok(Some(next))) = reader.poll_piece(cx)
        {
            bytes += next.bytes().len();
            self.0.push_back(next);
        }
        Poll::Ready(Ok(true))
    }

    fn rest(&mut self) {
        *self = Self::default();
    }
}

struct Direction<S> {
    source: S,
    state: State,
    unflushed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The reader has ended; the writer is still to be told.
    Ending,
    Ended,
}

impl<S> Direction<S> {
    fn new(source: S) -> Self {
        Self {
            source,
            state: State::Open,
            unflushed: false,
        }
    }

    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<io::Result<()>>
    where
        S: Source<R>,
        W: AsyncWrite + Unpin,
    {
        loop {
            while !self.source.is_empty() {
                if ready!(self.source.poll_write(cx, writer))? == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.unflushed = true;
            }
            match self.state {
                State::Open => {}
                State::Ending => {
                    ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                    self.state = State::Ended;
                }
                State::Ended => return Poll::Ready(Ok(())),
            }
            if self.state == State::Open {
                match self.source.poll_fill(cx, reader)? {
                    Poll::Ready(true) => {}
                    Poll::Ready(false) => self.state = State::Ending,
                    Poll::Pending => {
                        self.source.rest();
                        if self.unflushed {
                            ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// A client's socket, relayed over a link on a socket pair to an accepted stream.
    async fn relayed() -> (UnixStream, crate::Stream, JoinHandle<()>) {
        let (here, there) = UnixStream::pair().unwrap();
        let (host, guest) = tokio::join!(crate::host(here), crate::guest(there));
        let ((opener, host_incoming), (guest_opener, mut incoming)) =
            (host.unwrap(), guest.unwrap());
        let (client, mut ours) = UnixStream::pair().unwrap();
        let mut stream = opener.open(crate::Service::Api).await.unwrap();
        let relay = tokio::spawn(async move {
            // A break shows at the ends.
            let _ = both_ways(&mut ours, &mut stream).await;
        });
        let (_, engine) = timeout(DEADLINE, incoming.accept()).await.unwrap().unwrap();
        // The session lives as long as the test.
        tokio::spawn(async move {
            guest_opener.closed().await;
            drop((opener, host_incoming, incoming));
        });
        (client, engine, relay)
    }

    #[tokio::test]
    async fn the_client_s_end_does_not_cut_the_answer() {
        let (mut client, mut engine, relay) = relayed().await;
        client.write_all(b"stdin").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        timeout(DEADLINE, engine.read_to_end(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, b"stdin");
        let answer = vec![3; 2 << 20];
        let (sent, received) = tokio::join!(
            async {
                engine.write_all(&answer).await.unwrap();
                engine.shutdown().await.unwrap();
            },
            async {
                let mut heard = Vec::new();
                timeout(DEADLINE, client.read_to_end(&mut heard))
                    .await
                    .unwrap()
                    .unwrap();
                heard
            }
        );
        let () = sent;
        assert!(received == answer);
        timeout(DEADLINE, relay).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn pieces_of_all_lengths_arrive_in_order() {
        let (mut client, mut engine, relay) = relayed().await;
        let all: Vec<u8> = (0..3_000_000_u32)
            .map(|at| (at / 7).to_le_bytes()[0])
            .collect();
        let sending = async {
            let mut rest = all.as_slice();
            for length in [1, 9, 300, 4_000, 20_000, 70_000].into_iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(length));
                engine.write_all(now).await.unwrap();
                rest = later;
                if rest.is_empty() {
                    return engine.shutdown().await.unwrap();
                }
            }
        };
        let receiving = async {
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let both = async { tokio::join!(sending, receiving) };
        let ((), heard) = timeout(DEADLINE, both).await.unwrap();
        assert!(heard == all);
        client.shutdown().await.unwrap();
        timeout(DEADLINE, relay).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_engine_s_end_does_not_cut_the_upload() {
        let (mut client, mut engine, relay) = relayed().await;
        engine.shutdown().await.unwrap();
        assert_eq!(
            timeout(DEADLINE, client.read(&mut [0; 8]))
                .await
                .unwrap()
                .unwrap(),
            0
        );
        client.write_all(b"still here").await.unwrap();
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        timeout(DEADLINE, engine.read_to_end(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, b"still here");
        timeout(DEADLINE, relay).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_vanishes_stops_the_engine_s_writing() {
        let (client, mut engine, relay) = relayed().await;
        drop(client);
        let chunk = vec![0; 64 * 1024];
        let writing = async { while engine.write_all(&chunk).await.is_ok() {} };
        timeout(DEADLINE, writing).await.unwrap();
        drop(engine);
        timeout(DEADLINE, relay).await.unwrap().unwrap();
    }
}
