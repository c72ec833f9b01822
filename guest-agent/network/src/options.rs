//! How the network is set up.

use std::net::IpAddr;
use std::path::PathBuf;

/// How the network is set up; [`Options::default`] fits the virtual machine except for its
/// name servers.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the default bridge's interface and of the firewall table, at most 13 bytes; when another
    /// engine has it, the number at its end goes up.
    pub bridge: String,
    /// The `nft` program.
    pub nft: PathBuf,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// What containers find in `/etc/resolv.conf`.
    pub name_servers: NameServers,
}

/// Where containers' name servers come from.
#[derive(Debug, Clone)]
pub enum NameServers {
    /// The machine's own address for names, behind which these are asked.
    Own(Vec<IpAddr>),
    /// The machine's own from `/etc/resolv.conf` without those on the loopback interface, which a
    /// container can't reach.
    Machine,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bridge: "slipway0".to_owned(),
            nft: default_nft(),
            mtu: 1500,
            name_servers: NameServers::Machine,
        }
    }
}

impl Options {
    /// The settings for the virtual machine: QEMU's user network answers DNS at 10.0.2.3, where the
    /// person's own computer does not.
    #[must_use]
    pub fn for_machine() -> Self {
        Self {
            name_servers: NameServers::Own(vec![IpAddr::from([10, 0, 2, 3])]),
            ..Self::default()
        }
    }
}

/// `/usr/sbin` is often missing from the search path of a service, so it is tried first.
fn default_nft() -> PathBuf {
    ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("nft"))
}
