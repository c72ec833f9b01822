//! Connections over a Windows named pipe.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient};
use tokio::time::Instant;

use crate::{Endpoint, Home};

/// There are no Unix sockets here; nothing is too long.
pub(crate) const SOCKET_PATH_SIZE: usize = usize::MAX;

/// All instances of the pipe are taken; a new one will be there in a moment.
const ERROR_PIPE_BUSY: i32 = 231;

const BUSY_DEADLINE: Duration = Duration::from_secs(5);

/// `SLIPWAY_PIPE` gives a second home its own pipe.
pub(crate) fn endpoint_of(_home: &Home) -> Endpoint {
    let name = std::env::var("SLIPWAY_PIPE")
        .ok()
        .filter(|name| !name.is_empty());
    Endpoint::Pipe(name.unwrap_or_else(|| r"\\.\pipe\slipway".to_owned()))
}

/// A pipe whose write side is closed by an empty message, as Docker's clients do it.
#[derive(Debug)]
pub(super) struct Raw {
    pipe: NamedPipeClient,
    write_closed: bool,
}

pub(super) async fn open(endpoint: &Endpoint) -> io::Result<Raw> {
    let Endpoint::Pipe(name) = endpoint else {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "Windows clients use a named pipe",
        ));
    };
    let deadline = Instant::now() + BUSY_DEADLINE;
    loop {
        match ClientOptions::new().open(name) {
            Ok(pipe) => {
                return Ok(Raw {
                    pipe,
                    write_closed: false,
                });
            }
            Err(error)
                if error.raw_os_error() == Some(ERROR_PIPE_BUSY) && Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

impl AsyncRead for Raw {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Raw {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // An empty write would be read as the end.
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Pin::new(&mut self.pipe).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.write_closed {
            ready!(Pin::new(&mut self.pipe).poll_write(cx, &[]))?;
            self.write_closed = true;
        }
        Poll::Ready(Ok(()))
    }
}
