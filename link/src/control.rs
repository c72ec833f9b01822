//! The control stream: JSON lines between slipwayd and the agent. The host opens it; the guest's
//! first message is [`FromGuest::Hello`].

use std::net::{IpAddr, SocketAddr};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::Error;
use crate::ports::Protocol;

/// Longest message in bytes.
const LIMIT: usize = 4 << 20;

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FromGuest {
    /// Who answers; the first message of a session.
    Hello {
        /// The agent's version.
        version: String,
        /// The kernel's release, as `uname -r` has it.
        kernel: String,
        /// Things that don't work here, in words.
        #[serde(default)]
        warnings: Vec<String>,
        /// Size of the file system that holds the engine's state.
        #[serde(default)]
        disk_bytes: Option<u64>,
    },
    /// The shutdown has begun: containers are being stopped.
    Stopping,
    /// A container's ports are to be open on the host, and no others of that container; answered
    /// with [`FromHost::Published`] or [`FromHost::Refused`].
    Publish {
        /// Repeated in the answer.
        seq: u64,
        /// What is to be open.
        publication: Publication,
    },
    /// A container's ports are to be closed: it has ended.
    Withdraw {
        /// The container's id.
        container: String,
    },
    /// How fit a container is for connections has changed.
    Condition {
        /// The container's id.
        container: String,
        /// How fit it is now.
        condition: Condition,
    },
    /// All that was published before this session has been said again: what has not is to be
    /// closed.
    Settled,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What slipwayd says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FromHost {
    /// Stop the containers, then power off.
    Shutdown {
        /// Seconds for the containers to end by themselves.
        timeout_s: u64,
    },
    /// The host's clock, sent at the start of a session and after the host slept.
    Clock {
        /// Nanoseconds since 1970.
        unix_ns: u64,
    },
    /// How the host reaches the world, sent at the start of a session: the engine reaches
    /// registries the same way.
    Network {
        /// Proxy for plain HTTP; none when empty.
        #[serde(default)]
        http_proxy: String,
        /// Proxy for HTTPS; none when empty.
        #[serde(default)]
        https_proxy: String,
        /// Hosts that are reached directly, separated by commas.
        #[serde(default)]
        no_proxy: String,
        /// Authorities that the host trusts besides the usual ones, as PEM.
        #[serde(default)]
        certificates: String,
    },
    /// Where the host's routes lead, its VPNs' with them: sent at the start of a session and when it
    /// changes. No network of containers is to hide them.
    Routes {
        /// Subnets in CIDR notation.
        subnets: Vec<String>,
    },
    /// A container's ports are open.
    Published {
        /// That of the request.
        seq: u64,
        /// Where each of its ports is open, in the request's order.
        open: Vec<Vec<SocketAddr>>,
    },
    /// None of a container's ports is open.
    Refused {
        /// That of the request.
        seq: u64,
        /// Why, in Docker's words.
        reason: String,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The ports that a container has published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The container's id.
    pub container: String,
    /// Its name, for people.
    pub name: String,
    /// How fit it is for connections.
    pub condition: Condition,
    /// The ports.
    pub ports: Vec<Port>,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The protocol.
    pub protocol: Protocol,
    /// The host's addresses to be open on; an unspecified one stands for all of its kind.
    pub hosts: Vec<IpAddr>,
    /// First and last of the ports to choose from, the same for all addresses; any when `None`.
    pub range: Option<(u16, u16)>,
    /// Where it leads in the guest.
    pub target: SocketAddr,
    /// Containers that give the same name here may share a port of the host.
    pub group: Option<String>,
}

/// How fit a container is for new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It runs, and is healthy if it is checked.
    Ready,
    /// It is not healthy, not yet or no more.
    Unready,
    /// It is being stopped.
    Stopping,
}

/// Splits a control stream into messages.
#[must_use]
pub fn split<S: AsyncRead + AsyncWrite>(stream: S) -> (Reader<ReadHalf<S>>, Writer<WriteHalf<S>>) {
    let (reader, writer) = tokio::io::split(stream);
    (
        Reader {
            io: reader,
            buffer: Vec::new(),
        },
        Writer { io: writer },
    )
}

/// Receives messages.
#[derive(Debug)]
pub struct Reader<R> {
    io: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// The next message; `None` when the other end closed the stream. May be dropped and called
    /// again without loss.
    ///
    /// # Errors
    /// When the stream breaks, or the message is too long or not understood.
    pub async fn receive<M: DeserializeOwned>(&mut self) -> Result<Option<M>, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(Error::Message);
            }
            if self.buffer.len() > LIMIT {
                return Err(Error::MessageTooLong { limit: LIMIT });
            }
            if self
                .io
                .read_buf(&mut self.buffer)
                .await
                .map_err(Error::Stream)?
                == 0
            {
                return Ok(None);
            }
        }
    }
}

/// Sends messages.
#[derive(Debug)]
pub struct Writer<W> {
    io: W,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Sends one message.
    ///
    /// # Errors
    /// When the stream is broken.
    pub async fn send<M: Serialize>(&mut self, message: &M) -> Result<(), Error> {
        let mut line = serde_json::to_vec(message).map_err(Error::Message)?;
        line.push(b'\n');
        self.io.write_all(&line).await.map_err(Error::Stream)?;
        self.io.flush().await.map_err(Error::Stream)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn messages_cross_and_a_newer_kind_is_survived() {
        let (here, there) = tokio::io::duplex(16);
        let (_, mut sender) = split(here);
        let (mut receiver, _keep) = split(there);
        let sending = async move {
            sender
                .send(&FromHost::Shutdown { timeout_s: 10 })
                .await
                .unwrap();
            sender
                .send(&serde_json::json!({"kind": "dance", "steps": [1, 2]}))
                .await
                .unwrap();
            sender
        };
        let receiving = async {
            assert_eq!(
                receiver.receive().await.unwrap(),
                Some(FromHost::Shutdown { timeout_s: 10 })
            );
            assert_eq!(receiver.receive().await.unwrap(), Some(FromHost::Unknown));
        };
        tokio::join!(sending, receiving);
    }
}
