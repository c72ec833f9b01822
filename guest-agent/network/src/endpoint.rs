//! What a caller learns about a container's place on the network, and about the network itself.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Subnet;

/// One container's attachment to the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The network namespace: a bind mount of its nsfs file.
    pub netns: PathBuf,
    /// The container's address.
    pub ip: Ipv4Addr,
    /// Length of the subnet's prefix in bits.
    pub prefix_len: u8,
    /// The bridge's address, the container's default route.
    pub gateway: Ipv4Addr,
    /// Hardware address, `02:42:ac:11:00:02`; derived from the address, so that neighbours never
    /// hold a stale entry when an address is used again.
    pub mac: String,
    /// 64 hexadecimal digits, new with every attachment.
    pub endpoint_id: String,
    /// [`NetworkInfo::id`] of the network.
    pub network_id: String,
    /// Name of the interface inside the container.
    pub iface: String,
    /// Name of its other end on the machine, a port of the bridge.
    pub host_iface: String,
}

/// The network, as `docker network inspect bridge` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// `bridge`: Docker's name for the default network.
    pub name: String,
    /// 64 hexadecimal digits; the same for the life of the state directory.
    pub id: String,
    /// `bridge`.
    pub driver: String,
    /// The bridge's interface.
    pub bridge: String,
    /// Its addresses.
    pub subnet: Subnet,
    /// The bridge's own address.
    pub gateway: Ipv4Addr,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// When the network was made, RFC 3339 in UTC.
    pub created: String,
    /// What will not work on this machine, in words.
    pub warnings: Vec<String>,
}
