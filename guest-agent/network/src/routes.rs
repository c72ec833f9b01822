//! Which addresses the machine's own routes already use.

use std::net::Ipv4Addr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteType};

use crate::netlink::Netlink;
use crate::{Error, Subnet, messages};

/// Chooses the network's addresses: `wanted` if it is given, else the first default subnet that
/// overlaps no route; routes through the interface `own` (our bridge, from before) don't count.
pub(crate) fn choose_subnet(
    netlink: &mut Netlink,
    wanted: Option<Subnet>,
    own: Option<u32>,
) -> Result<Subnet, Error> {
    if let Some(subnet) = wanted {
        return Ok(subnet);
    }
    let taken = taken(netlink, own)?;
    first_free(&taken).ok_or(Error::NoFreeSubnet)
}

/// Whether `subnet` overlaps a route of the machine that isn't through `own`.
pub(crate) fn is_taken(
    netlink: &mut Netlink,
    subnet: Subnet,
    own: Option<u32>,
) -> Result<bool, Error> {
    let taken = taken(netlink, own)?;
    Ok(taken.iter().any(|other| other.overlaps(&subnet)))
}

fn first_free(taken: &[Subnet]) -> Option<Subnet> {
    (17..=31)
        .map(|second| Subnet::new(Ipv4Addr::new(172, second, 0, 0), 16))
        .find(|subnet| !taken.iter().any(|other| other.overlaps(subnet)))
}

fn taken(netlink: &mut Netlink, own: Option<u32>) -> Result<Vec<Subnet>, Error> {
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
        let mut destination = None;
        let mut interface = None;
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(ip)) => destination = Some(*ip),
                RouteAttribute::Oif(index) => interface = Some(*index),
                _ => {}
            }
        }
        if interface.is_none() || interface != own {
            taken.extend(destination.map(|ip| Subnet::new(ip, prefix_len)));
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_subnet_that_nothing_overlaps_is_taken() {
        let at = |second, prefix_len| Subnet::new(Ipv4Addr::new(172, second, 0, 0), prefix_len);
        assert_eq!(first_free(&[]), Some(at(17, 16)));
        assert_eq!(first_free(&[at(17, 24), at(18, 15)]), Some(at(20, 16)));
        assert_eq!(first_free(&[at(16, 12)]), None);
    }
}
