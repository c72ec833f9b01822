//! A container's place on one network.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a container wants on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The network.
    pub network: String,
    /// This IPv4 address, or any.
    pub ipv4: Option<IpAddr>,
    /// This IPv6 address, or any.
    pub ipv6: Option<IpAddr>,
    /// None of either: the container is to do without IPv6.
    pub without_ipv6: bool,
    /// These as well, of its link alone.
    pub link_local: Vec<IpAddr>,
    /// This hardware address, or one that follows from the IPv4 address.
    pub mac: Option<[u8; 6]>,
    /// This name of the interface, or the next of `eth0`, `eth1` …
    pub interface: Option<String>,
    /// Names under `/proc/sys/net` with `IFNAME` for the interface, and their values.
    pub sysctls: Vec<(String, String)>,
    /// The default route goes to the network with the highest; of several to the first by name.
    pub priority: i64,
    /// The network's name, for that.
    pub name: String,
}

/// One container's attachment to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The container's network namespace: a bind mount of its nsfs file.
    pub netns: PathBuf,
    /// Its IPv4 address.
    pub ipv4: Option<Address>,
    /// Its IPv6 address.
    pub ipv6: Option<Address>,
    /// Hardware address, `02:42:ac:11:00:02`; unless another was asked for it follows from the
    /// IPv4 address, so that neighbours never hold a stale entry when an address is used again.
    pub mac: String,
    /// 64 hexadecimal digits, new with every attachment.
    pub endpoint_id: String,
    /// The network's id.
    pub network_id: String,
    /// Name of the interface inside the container.
    pub iface: String,
    /// Name of its other end on the machine, a port of the bridge; empty where there is none.
    pub host_iface: String,
    /// See [`Request::priority`].
    #[serde(default)]
    pub priority: i64,
    /// The network's name when the container joined.
    #[serde(default)]
    pub network_name: String,
    /// The network leads out.
    #[serde(default)]
    pub leads_out: bool,
    /// … through its interface, without a gateway.
    #[serde(default)]
    pub routes_by_interface: bool,
}

/// An address of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Length of the subnet's prefix in bits.
    pub prefix_len: u8,
    /// The subnet's gateway.
    pub gateway: Option<IpAddr>,
}

impl Endpoint {
    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.ipv4.into_iter().chain(self.ipv6)
    }

    /// The address that it is found by: IPv4 if it has one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.addresses().next().map(|address| address.ip)
    }
}
