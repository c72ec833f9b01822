//! A subnet in CIDR notation, IPv4 or IPv6.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A subnet such as `172.17.0.0/16` or `fd00:1::/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Subnet {
    base: IpAddr,
    prefix_len: u8,
}

impl Subnet {
    /// The subnet that holds `address`; bits below the prefix are cleared. A `prefix_len` above the
    /// address's own length counts as that.
    #[must_use]
    pub fn new(address: impl Into<IpAddr>, prefix_len: u8) -> Self {
        let address = address.into();
        let prefix_len = prefix_len.min(length(address));
        let bits = bits(address) & mask(address, prefix_len);
        Self {
            base: with_bits(address, bits),
            prefix_len,
        }
    }

    /// Its first address, the network's own.
    #[must_use]
    pub fn base(&self) -> IpAddr {
        self.base
    }

    /// Length of the prefix in bits.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Whether its addresses are IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.base.is_ipv4()
    }

    /// The last address: with IPv4 the one that reaches everyone.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        let all = bits(self.base) | !mask(self.base, self.prefix_len);
        with_bits(self.base, all)
    }

    /// Whether any address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = mask(self.base, self.prefix_len.min(other.prefix_len));
        self.is_ipv4() == other.is_ipv4() && bits(self.base) & shorter == bits(other.base) & shorter
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4()
            && bits(address) & mask(address, self.prefix_len) == bits(self.base)
    }

    /// The addresses that interfaces can have, in order: with IPv4 not the network's own nor the
    /// last, if there is room for more than two.
    pub fn hosts(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let base = self.base;
        let (first, last) = (bits(base), bits(self.last()));
        let roomy = last - first > 1;
        let skip_last = u128::from(roomy && base.is_ipv4());
        let skip_first = u128::from(roomy);
        (first + skip_first..=last - skip_last).map(move |bits| with_bits(base, bits))
    }

    /// All addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let base = self.base;
        (bits(base)..=bits(self.last())).map(move |bits| with_bits(base, bits))
    }

    /// Whether no interface can have that address: the network's own, and with IPv4 the last, if there
    /// is room for more than two.
    #[must_use]
    pub fn is_reserved(&self, address: IpAddr) -> bool {
        let roomy = bits(self.last()) - bits(self.base) > 1;
        roomy && (address == self.base || (self.is_ipv4() && address == self.last()))
    }

    /// The subnet of that length after this one, or after `number` of them; nothing where the
    /// address space ends.
    #[must_use]
    pub fn nth(&self, prefix_len: u8, number: u128) -> Option<Self> {
        let length = length(self.base);
        let shift = u32::from(length - prefix_len.min(length));
        let step = number.checked_mul(1_u128.checked_shl(shift)?)?;
        let bits = bits(self.base).checked_add(step)?;
        if bits > u128::MAX >> (128 - length) {
            return None;
        }
        Some(Self::new(with_bits(self.base, bits), prefix_len))
    }
}

fn length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// An address of the same kind; bits that don't fit are cut off.
fn with_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(((bits & u128::from(u32::MAX)) as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(bits.into()),
    }
}

fn mask(address: IpAddr, prefix_len: u8) -> u128 {
    let host = u32::from(length(address) - prefix_len);
    let all = match address {
        IpAddr::V4(_) => u128::from(u32::MAX),
        IpAddr::V6(_) => u128::MAX,
    };
    all & u128::MAX.checked_shl(host).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_len)
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::InvalidSubnet {
            text: text.to_owned(),
        };
        let (address, prefix_len) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix_len: u8 = prefix_len.parse().map_err(|_| wrong())?;
        if prefix_len > length(address) {
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
        assert_eq!(subnet.last().to_string(), "172.17.255.255");
        let subnet: Subnet = "fd00:1:2::9/64".parse().unwrap();
        assert_eq!(subnet.to_string(), "fd00:1:2::/64");
        for wrong in ["172.17.0.0", "172.17.0/16", "172.17.0.0/33", "::/129", ""] {
            assert!(wrong.parse::<Subnet>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_leave_out_the_network_and_the_broadcast() {
        let hosts = |text: &str| {
            let subnet: Subnet = text.parse().unwrap();
            subnet
                .hosts()
                .take(9)
                .map(|ip| ip.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(hosts("10.9.0.0/30"), ["10.9.0.1", "10.9.0.2"]);
        assert_eq!(hosts("10.9.0.0/31"), ["10.9.0.0", "10.9.0.1"]);
        assert_eq!(hosts("10.9.0.7/32"), ["10.9.0.7"]);
        assert_eq!(hosts("fd00::/126"), ["fd00::1", "fd00::2", "fd00::3"]);
    }

    #[test]
    fn overlap_is_seen_in_both_directions() {
        let at = |text: &str| text.parse::<Subnet>().unwrap();
        let (wide, narrow) = (at("172.16.0.0/12"), at("172.17.0.0/16"));
        assert!(wide.overlaps(&narrow) && narrow.overlaps(&wide));
        assert!(!narrow.overlaps(&at("172.18.0.0/16")));
        assert!(!at("0.0.0.0/0").overlaps(&at("::/0")));
        assert!(narrow.contains("172.17.9.9".parse().unwrap()));
        assert!(!narrow.contains("::ac11:1".parse().unwrap()));
    }

    #[test]
    fn the_next_of_a_size() {
        let pool: Subnet = "192.168.0.0/16".parse().unwrap();
        assert_eq!(pool.nth(20, 2).unwrap().to_string(), "192.168.32.0/20");
        // Behind the last address there is none.
        for (last, number) in [
            ("255.0.0.0/8", 1),
            ("0.0.0.0/0", 1),
            ("fd00::/64", u128::MAX),
        ] {
            let last: Subnet = last.parse().unwrap();
            assert_eq!(last.nth(last.prefix_len(), number), None, "{last}");
        }
    }
}
