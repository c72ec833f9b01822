//! The API pipe on Windows: its access list names nobody but the person who started slipwayd.
#![expect(
    unsafe_code,
    reason = "an access list goes to the system by a raw pointer"
)]

mod access;

use std::ffi::c_void;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use client::wire::Problem;
use client::{Endpoint, Home};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{NamedPipeServer, PipeMode, ServerOptions};

use crate::problem::{Explain, problem};

pub(crate) use access::make_folder;

use access::Descriptor;

/// Everything for the pipe's owner, nothing for anyone else, nothing inherited.
const ACCESS: &str = "D:P(A;;GA;;;OW)";

/// Pieces up to so many bytes become one write to the pipe, which knows no list of them.
const TOGETHER: usize = 16 * 1024;

/// Listens on the pipe: an instance always waits for the next client.
#[derive(Debug)]
pub(crate) struct Listener {
    name: String,
    next: NamedPipeServer,
}

impl Listener {
    /// The first instance of the pipe. Remote clients are refused.
    pub(crate) fn bind(home: &Home) -> Result<Self, Problem> {
        let Endpoint::Pipe(name) = home.endpoint() else {
            return Err(problem("the endpoint is no pipe"));
        };
        let next = instance(&name, true).map_err(|error| {
            problem(format!("cannot listen at {name}"))
                .because(error)
                .hint("another program has the pipe; stop it, or set SLIPWAY_PIPE to another name")
        })?;
        Ok(Self { name, next })
    }

    /// The next client.
    pub(crate) async fn accept(&mut self) -> io::Result<Connection> {
        self.next.connect().await?;
        let next = instance(&self.name, false)?;
        let pipe = std::mem::replace(&mut self.next, next);
        Ok(Connection {
            pipe,
            finished: false,
        })
    }
}

/// Docker's clients close their side with an empty message, which only a pipe of messages
/// carries.
fn instance(name: &str, first: bool) -> io::Result<NamedPipeServer> {
    let descriptor = Descriptor::new(ACCESS)?;
    let mut attributes = descriptor.attributes();
    let mut options = ServerOptions::new();
    options
        .first_pipe_instance(first)
        .pipe_mode(PipeMode::Message)
        .reject_remote_clients(true)
        .in_buffer_size(64 * 1024)
        .out_buffer_size(64 * 1024);
    // SAFETY: the attributes and the descriptor that they point to outlive the call.
    unsafe {
        options.create_with_security_attributes_raw(name, (&raw mut attributes).cast::<c_void>())
    }
}

/// One client's connection. An empty message is the end of a direction.
#[derive(Debug)]
pub(crate) struct Connection {
    pipe: NamedPipeServer,
    finished: bool,
}

impl link::head_first::Peer for Connection {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.pipe).poll_read(cx, buf)) {
            // A client that goes away is an end as well.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Poll::Ready(Ok(())),
            other => Poll::Ready(other),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut joined = Vec::new();
        for buf in bufs {
            if joined.len() + buf.len() > TOGETHER {
                break;
            }
            joined.extend_from_slice(buf);
        }
        match bufs.iter().find(|buf| !buf.is_empty()) {
            Some(long) if joined.is_empty() => self.poll_write(cx, long),
            _ => self.poll_write(cx, &joined),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished {
            ready!(Pin::new(&mut self.pipe).poll_write(cx, &[]))?;
            self.finished = true;
        }
        Poll::Ready(Ok(()))
    }
}
