//! A stream of [`Service::Port`](crate::Service::Port): the host says where in the guest it is to
//! lead, and the guest answers with one byte once it does. Then follow the connection's bytes; for
//! UDP [`datagrams`](crate::datagrams). The host may send before the answer has come.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll, ready};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::Stream;
use crate::stream::{Piece, Pieces};

/// The guest's answer.
const CONNECTED: u8 = 1;

/// Longest first line.
const LINE: usize = 80;

/// A protocol whose ports are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Byte streams with half-close.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Where a stream leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub protocol: Protocol,
    /// To where.
    pub address: SocketAddr,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol.name(), self.address)
    }
}

impl FromStr for Target {
    type Err = io::Error;

    fn from_str(line: &str) -> io::Result<Self> {
        let parsed = line.split_once(' ').and_then(|(protocol, address)| {
            let protocol = match protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => return None,
            };
            let address = address.parse().ok()?;
            Some(Self { protocol, address })
        });
        parsed.ok_or_else(|| invalid("a stream for a port does not say where it leads"))
    }
}

/// The host's end of a stream. May be written to before the guest has answered.
#[derive(Debug)]
pub struct Lead {
    stream: Stream,
    answered: bool,
}

impl Lead {
    /// Asks the guest to lead a stream somewhere.
    ///
    /// # Errors
    /// When the stream is broken.
    pub async fn ask(mut stream: Stream, target: Target) -> io::Result<Self> {
        stream.write_all(format!("{target}\n").as_bytes()).await?;
        stream.flush().await?;
        Ok(Self {
            stream,
            answered: false,
        })
    }

    /// Waits until the guest has got through.
    ///
    /// # Errors
    /// When it has not.
    pub async fn answered(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_answer(cx)).await
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.answered {
            return Poll::Ready(Ok(()));
        }
        let mut byte = [0];
        let mut answer = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut answer))?;
        if answer.filled() != [CONNECTED] {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        self.answered = true;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Lead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Pieces for Lead {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Piece>>> {
        ready!(self.poll_answer(cx))?;
        self.stream.poll_piece(cx)
    }
}

impl AsyncWrite for Lead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where the host wants to go.
///
/// # Errors
/// When it does not say.
pub async fn asked<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Target> {
    let mut line = Vec::new();
    while line.len() <= LINE {
        match stream.read_u8().await? {
            b'\n' => {
                let line = String::from_utf8_lossy(&line);
                return line.parse();
            }
            byte => line.push(byte),
        }
    }
    Err(invalid("a stream for a port begins with a long line"))
}

/// The guest has got through.
///
/// # Errors
/// When the stream is broken.
pub async fn answer<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(&[CONNECTED]).await?;
    stream.flush().await
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_target_crosses_and_what_follows_waits_for_nobody() {
        let (here, there) = tokio::io::duplex(1000);
        let (host, guest) = tokio::join!(crate::host(here), crate::guest(there));
        let ((opener, _hosts), (_guests, mut incoming)) = (host.unwrap(), guest.unwrap());
        let target = Target {
            protocol: Protocol::Udp,
            address: "[fd00::2]:53".parse().unwrap(),
        };
        let stream = opener.open(crate::Service::Port).await.unwrap();
        let mut lead = Lead::ask(stream, target).await.unwrap();
        lead.write_all(b"early").await.unwrap();
        lead.flush().await.unwrap();
        let (_, mut stream) = incoming.accept().await.unwrap();
        assert_eq!(asked(&mut stream).await.unwrap(), target);
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"early");
        answer(&mut stream).await.unwrap();
        stream.write_all(b"well").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        lead.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, b"well");
    }

    #[tokio::test]
    async fn what_is_no_target_is_refused() {
        for bad in [
            "",
            "tcp",
            "sctp 1.2.3.4:5",
            "tcp nowhere:80",
            &"x".repeat(99),
        ] {
            let mut line = std::io::Cursor::new(format!("{bad}\n").into_bytes());
            assert!(asked(&mut line).await.is_err(), "{bad}");
        }
    }
}
