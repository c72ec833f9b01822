//! What a network is made of, as its owner has decided.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Error, Subnet};

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// 64 hexadecimal digits.
    pub id: String,
    /// What joins its endpoints.
    pub kind: Kind,
    /// Name of the bridge, or of the interface that endpoints share.
    pub interface: String,
    /// Its addresses.
    pub pools: Vec<Pool>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// No way out, and no way in.
    pub internal: bool,
    /// Endpoints may talk to each other.
    pub icc: bool,
    /// IPv4 goes out like this.
    pub ipv4: Gateway,
    /// IPv6 goes out like this.
    pub ipv6: Gateway,
    /// Ports are published on this address, unless said otherwise.
    #[serde(default)]
    pub publish_on: Option<IpAddr>,
    /// The bridge has no IPv4 address; endpoints have their default route all the same.
    #[serde(default)]
    pub inhibit_ipv4: bool,
}

/// What joins endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A bridge of the network's own.
    Bridge,
    /// Addresses of their own on an interface of the machine: 1 private, 2 vepa, 4 bridge,
    /// 8 passthru.
    Macvlan(u32),
    /// The address of an interface of the machine: 0 is l2, 1 l3, 2 l3s.
    Ipvlan(u16),
}

/// How packets leave a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gateway {
    /// With the machine's address.
    #[default]
    Nat,
    /// With the machine's address, and everybody may come in by the endpoint's own.
    NatUnprotected,
    /// With their own address, and in as with the machine's.
    Unhidden,
    /// With their own address; published ports are open under it, and not under the machine's.
    Routed,
    /// Not at all: the bridge has no address.
    Isolated,
}

/// A subnet and who has which part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// All addresses.
    pub subnet: Subnet,
    /// Where endpoints get theirs from.
    pub range: Option<Subnet>,
    /// The bridge's own address, and the default route of endpoints.
    pub gateway: Option<IpAddr>,
    /// Addresses that others have.
    pub aux: Vec<IpAddr>,
}

impl Spec {
    /// How the name of an interface begins that is shared and leads nowhere.
    pub const LEADS_NOWHERE: &str = "dm-";

    /// Whether its endpoints have addresses of that kind.
    #[must_use]
    pub fn has(&self, ipv4: bool) -> bool {
        self.pools.iter().any(|pool| pool.subnet.is_ipv4() == ipv4)
    }

    /// How packets of that kind leave.
    pub(crate) fn gateway_mode(&self, ipv4: bool) -> Gateway {
        if ipv4 { self.ipv4 } else { self.ipv6 }
    }

    /// Whether published ports of that kind are open under the containers' own addresses.
    #[must_use]
    pub fn is_routed(&self, ipv4: bool) -> bool {
        self.gateway_mode(ipv4) == Gateway::Routed
    }

    /// Whether it is a bridge of ours.
    pub(crate) fn is_bridge(&self) -> bool {
        self.kind == Kind::Bridge
    }

    /// Whether it shares an interface of its own that leads nowhere.
    pub(crate) fn shares_nothing(&self) -> bool {
        self.internal && self.interface.starts_with(Self::LEADS_NOWHERE)
    }

    /// Whether endpoints send what leaves their subnet to the interface itself: there is no gateway.
    pub(crate) fn routes_by_interface(&self) -> bool {
        matches!(self.kind, Kind::Ipvlan(1 | 2))
    }

    /// The bridge's addresses.
    pub(crate) fn gateways(&self) -> impl Iterator<Item = (IpAddr, Subnet)> + '_ {
        self.pools.iter().filter_map(|pool| {
            let ipv4 = pool.subnet.is_ipv4();
            let bare = self.gateway_mode(ipv4) == Gateway::Isolated || (ipv4 && self.inhibit_ipv4);
            let gateway = pool.gateway.filter(|_| !bare)?;
            Some((gateway, pool.subnet))
        })
    }
}

impl Pool {
    /// The addresses that can be handed out, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let subnet = self.subnet;
        let whole = self.range.is_none().then(|| subnet.hosts());
        let part = self.range.map(|range| range.addresses());
        let part = part.into_iter().flatten();
        whole
            .into_iter()
            .flatten()
            .chain(part.filter(move |ip| !subnet.is_reserved(*ip)))
    }
}

/// The interface and the number of the VLAN on it that a name such as `eth0.10` means.
pub(crate) fn vlan(name: &str) -> Result<(&str, u16), Error> {
    let bad = |reason: String| Err(Error::NoVlan { reason });
    if !name.contains('.') {
        return bad(format!(
            "invalid subinterface vlan name {name}, example formatting is eth0.10"
        ));
    }
    let parts: Vec<&str> = name.split('.').collect();
    let (parent, number) = match parts[..] {
        [parent, number] if !parent.is_empty() && !number.is_empty() => (parent, number),
        _ => {
            return bad(format!(
                "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {name}"
            ));
        }
    };
    let Ok(id) = number.parse::<i64>() else {
        return bad(format!(
            "unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)"
        ));
    };
    match u16::try_from(id) {
        Ok(id @ 1..=4094) => Ok((parent, id)),
        _ => bad(format!("vlan id must be between 1-4094, received: {id}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_dot_is_a_vlan() {
        assert!(matches!(vlan("eth0.10"), Ok(("eth0", 10))));
        assert!(matches!(vlan("eth0.4094"), Ok(("eth0", 4094))));
        for (name, why) in [
            ("eth1", "invalid subinterface vlan name eth1"),
            ("eth0.1.2", "instead received eth0.1.2"),
            (".10", "instead received .10"),
            ("eth0.x", "unable to parse a valid vlan id from: x"),
            ("eth0.0", "vlan id must be between 1-4094, received: 0"),
            ("eth0.4095", "received: 4095"),
        ] {
            let error = vlan(name).map(|_| ()).map_err(|e| e.to_string());
            assert!(error.is_err_and(|error| error.contains(why)), "{name}");
        }
    }
}
