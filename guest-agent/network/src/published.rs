//! Ports of containers that the machine answers for.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Id of the network that leads to the container.
    pub network: String,
    /// The protocol.
    pub protocol: Protocol,
    /// The machine's address; an unspecified one stands for all of its kind.
    pub host: IpAddr,
    /// The machine's port; 0 where the container's own is open instead.
    pub host_port: u16,
    /// The container's address and port.
    pub target: SocketAddr,
    /// How fit the container is for new connections.
    #[serde(default)]
    pub fitness: Fitness,
}

impl Published {
    /// Where the machine listens for it, if it does; replicas have the same.
    pub(crate) fn place(&self) -> Option<(Protocol, IpAddr, u16)> {
        (self.host_port != 0).then_some((self.protocol, self.host, self.host_port))
    }
}

/// How fit a container is for new connections: of several behind a port, only the fittest get any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fitness {
    /// It runs, and is healthy if it is checked.
    #[default]
    Ready,
    /// It is not healthy, not yet or no more.
    Unready,
    /// It is being stopped.
    Stopping,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The protocol of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Tcp, Self::Udp, Self::Sctp];
        all.into_iter().find(|protocol| protocol.name() == name)
    }
}
