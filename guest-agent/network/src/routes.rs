//! Which addresses the machine's own routes already use.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteType};

use crate::netlink::Netlink;
use crate::{Error, Subnet, messages};

/// Where the subnets of networks come from that name none, and how long their prefixes are: Docker's
/// pools, which are used up after 31 networks, then one of ours.
const POOLS: [(&str, u8); 3] = [
    ("172.16.0.0/12", 16),
    ("192.168.0.0/16", 20),
    ("10.200.0.0/13", 24),
];

/// The part of the first that Docker leaves alone.
const LEFT_ALONE: ([u8; 4], u8) = ([172, 16, 0, 0], 16);

/// The first subnet of a pool that overlaps nothing that is taken. `pools` are the person's own,
/// or else the usual ones.
#[must_use]
pub fn free_subnet(pools: &[(Subnet, u8)], taken: &[Subnet]) -> Option<Subnet> {
    let default: Vec<(Subnet, u8)> = POOLS
        .iter()
        .filter_map(|(text, prefix_len)| Some((text.parse().ok()?, *prefix_len)))
        .collect();
    let left_alone = Subnet::new(LEFT_ALONE.0, LEFT_ALONE.1);
    let own = !pools.is_empty();
    let pools = if own { pools } else { &default };
    pools
        .iter()
        .flat_map(|(pool, prefix_len)| {
            let bits = u32::from(prefix_len.saturating_sub(pool.prefix_len())).min(20);
            (0..1_u128 << bits).filter_map(|number| pool.nth(*prefix_len, number))
        })
        .filter(|subnet| own || *subnet != left_alone)
        .find(|subnet| !taken.iter().any(|other| other.overlaps(subnet)))
}

/// What the machine's routes lead to; those through the interfaces `own` (indices) don't count.
pub(crate) fn taken(netlink: &mut Netlink, own: &[u32]) -> Result<Vec<Subnet>, Error> {
    let mut taken = Vec::new();
    for message in netlink.dump(messages::list_routes())? {
        let RouteNetlinkMessage::NewRoute(route) = message else {
            continue;
        };
        // The default route covers everything and says nothing; the rest of the kinds (broadcast,
        // local) repeat what a unicast route says.
        let prefix_len = route.header.destination_prefix_length;
        if prefix_len == 0 || route.header.kind != RouteType::Unicast {
            continue;
        }
        let mut destination: Option<IpAddr> = None;
        let mut interface = None;
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(ip)) => {
                    destination = Some((*ip).into());
                }
                RouteAttribute::Destination(RouteAddress::Inet6(ip)) => {
                    destination = Some((*ip).into());
                }
                RouteAttribute::Oif(index) => interface = Some(*index),
                _ => {}
            }
        }
        let link_local = matches!(destination, Some(IpAddr::V6(ip)) if ip.is_unicast_link_local());
        if !link_local && interface.is_none_or(|index| !own.contains(&index)) {
            taken.extend(destination.map(|ip| Subnet::new(ip, prefix_len)));
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_subnet_that_nothing_overlaps_is_taken() {
        let at = |text: &str| text.parse::<Subnet>().unwrap();
        let free = |taken: &[&str]| {
            let taken: Vec<Subnet> = taken.iter().map(|text| at(text)).collect();
            free_subnet(&[], &taken).map(|subnet| subnet.to_string())
        };
        assert_eq!(free(&[]).as_deref(), Some("172.17.0.0/16"));
        let two = ["172.17.0.0/24", "172.18.0.0/15"];
        assert_eq!(free(&two).as_deref(), Some("172.20.0.0/16"));
        let full = free(&["172.16.0.0/12"]);
        assert_eq!(full.as_deref(), Some("192.168.0.0/20"));
        let dockers = ["172.16.0.0/12", "192.168.0.0/16"];
        assert_eq!(free(&dockers).as_deref(), Some("10.200.0.0/24"));
        assert_eq!(
            free(&["172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8"]),
            None
        );
        let own = [(at("10.77.0.0/16"), 24)];
        let found = free_subnet(&own, &[at("10.77.0.0/24")]).unwrap();
        assert_eq!(found, at("10.77.1.0/24"));
    }
}
