//! An IPv4 subnet in CIDR notation.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// An IPv4 subnet such as `172.17.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    base: u32,
    prefix_len: u8,
}

impl Subnet {
    /// The subnet that holds `address`; bits below the prefix are cleared. `prefix_len` above 32
    /// counts as 32.
    #[must_use]
    pub fn new(address: Ipv4Addr, prefix_len: u8) -> Self {
        let prefix_len = prefix_len.min(32);
        Self {
            base: u32::from(address) & mask(prefix_len),
            prefix_len,
        }
    }

    /// Its first address, the network's own.
    #[must_use]
    pub fn base(&self) -> Ipv4Addr {
        self.base.into()
    }

    /// Length of the prefix in bits.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// The address that the bridge takes: the first after the network's own.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        (self.base | 1).into()
    }

    /// The last address, which reaches everyone.
    #[must_use]
    pub fn broadcast(&self) -> Ipv4Addr {
        (self.base | !mask(self.prefix_len)).into()
    }

    /// Whether any address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = mask(self.prefix_len.min(other.prefix_len));
        self.base & shorter == other.base & shorter
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix_len) == self.base
    }

    /// The addresses that containers can have, in order.
    pub fn hosts(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let first = self.base.saturating_add(2);
        let last = u32::from(self.broadcast());
        (first..last).map(Ipv4Addr::from)
    }
}

fn mask(prefix_len: u8) -> u32 {
    u32::MAX
        .checked_shl(32 - u32::from(prefix_len))
        .unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix_len)
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::InvalidSubnet {
            text: text.to_owned(),
        };
        let (address, prefix_len) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix_len: u8 = prefix_len.parse().map_err(|_| wrong())?;
        if !(8..=29).contains(&prefix_len) {
            return Err(wrong());
        }
        Ok(Self::new(address, prefix_len))
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_and_prints_cidr() {
        let subnet: Subnet = "172.17.3.9/16".parse().unwrap();
        assert_eq!(subnet.to_string(), "172.17.0.0/16");
        assert_eq!(subnet.gateway(), Ipv4Addr::new(172, 17, 0, 1));
        assert_eq!(subnet.broadcast(), Ipv4Addr::new(172, 17, 255, 255));
        for wrong in [
            "172.17.0.0",
            "172.17.0/16",
            "172.17.0.0/33",
            "10.0.0.0/30",
            "",
        ] {
            assert!(wrong.parse::<Subnet>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_leave_out_the_network_the_gateway_and_the_broadcast() {
        let subnet: Subnet = "10.9.0.0/29".parse().unwrap();
        let last_octets: Vec<u8> = subnet.hosts().map(|ip| ip.octets()[3]).collect();
        assert_eq!(last_octets, [2, 3, 4, 5, 6]);
    }

    #[test]
    fn overlap_is_seen_in_both_directions() {
        let wide = Subnet::new(Ipv4Addr::new(172, 16, 0, 0), 12);
        let narrow = Subnet::new(Ipv4Addr::new(172, 17, 0, 0), 16);
        let other = Subnet::new(Ipv4Addr::new(172, 18, 0, 0), 16);
        assert!(wide.overlaps(&narrow) && narrow.overlaps(&wide));
        assert!(!narrow.overlaps(&other));
        assert!(!other.contains(Ipv4Addr::new(172, 17, 0, 1)));
    }
}
