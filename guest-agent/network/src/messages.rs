//! The changes and questions that this crate sends to the kernel.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::Subnet;
use crate::netlink::Change;

/// A hardware address.
pub(crate) type Mac = [u8; 6];

/// Makes a bridge that forwards at once and keeps the hardware address whatever ports join.
pub(crate) fn add_bridge(name: &str, mac: Mac, mtu: u32) -> Change {
    let mut message = LinkMessage::default();
    set_up(&mut message);
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Address(mac.to_vec()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::ForwardDelay(0)])),
        ]),
    ];
    Change {
        step: format!("make the bridge {name}"),
        message: RouteNetlinkMessage::NewLink(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: Some(libc::EEXIST),
    }
}

/// Makes a pair of interfaces: `name`, up, as a port of `bridge`, and `peer` with `mac` in the
/// namespace `netns`. The peer can't come up at once: the kernel makes it first, and half a pair
/// doesn't open.
pub(crate) fn add_veth(
    name: &str,
    bridge: u32,
    peer: &str,
    netns: BorrowedFd<'_>,
    mac: Mac,
    mtu: u32,
) -> Change {
    let mut inside = LinkMessage::default();
    inside.attributes = vec![
        LinkAttribute::IfName(peer.to_owned()),
        LinkAttribute::Address(mac.to_vec()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::NetNsFd(netns.as_raw_fd()),
    ];
    let mut message = LinkMessage::default();
    set_up(&mut message);
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::Controller(bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inside))),
        ]),
    ];
    Change {
        step: format!("connect {name} to the bridge"),
        message: RouteNetlinkMessage::NewLink(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: None,
    }
}

/// Brings an interface up.
pub(crate) fn bring_up(index: u32, name: &str) -> Change {
    let mut message = LinkMessage::default();
    message.header.index = index;
    set_up(&mut message);
    Change {
        step: format!("bring {name} up"),
        message: RouteNetlinkMessage::SetLink(message),
        flags: 0,
        fine: None,
    }
}

/// Leaves a note on an interface.
pub(crate) fn mark(index: u32, name: &str, note: &str) -> Change {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![LinkAttribute::IfAlias(note.to_owned())];
    Change {
        step: format!("mark {name} as ours"),
        message: RouteNetlinkMessage::SetLink(message),
        flags: 0,
        fine: None,
    }
}

/// Removes an interface; that it is gone already is fine.
pub(crate) fn remove_link(name: &str) -> Change {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    Change {
        step: format!("remove the interface {name}"),
        message: RouteNetlinkMessage::DelLink(message),
        flags: 0,
        fine: Some(libc::ENODEV),
    }
}

/// Gives an interface an address of a subnet.
pub(crate) fn add_address(index: u32, name: &str, ip: Ipv4Addr, subnet: Subnet) -> Change {
    Change {
        step: format!("add the address {ip}/{} to {name}", subnet.prefix_len()),
        message: RouteNetlinkMessage::NewAddress(address(index, ip, subnet)),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: Some(libc::EEXIST),
    }
}

/// Takes an address away from an interface.
pub(crate) fn remove_address(index: u32, name: &str, ip: Ipv4Addr, subnet: Subnet) -> Change {
    Change {
        step: format!("remove the address {ip} from {name}"),
        message: RouteNetlinkMessage::DelAddress(address(index, ip, subnet)),
        flags: 0,
        fine: Some(libc::EADDRNOTAVAIL),
    }
}

fn address(index: u32, ip: Ipv4Addr, subnet: Subnet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = subnet.prefix_len();
    message.header.scope = AddressScope::Universe;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(IpAddr::V4(ip)),
        AddressAttribute::Address(IpAddr::V4(ip)),
        AddressAttribute::Broadcast(subnet.broadcast()),
    ];
    message
}

/// Sends everything that no other route takes to `gateway`.
pub(crate) fn add_default_route(gateway: Ipv4Addr) -> Change {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
    Change {
        step: format!("add the default route through {gateway}"),
        message: RouteNetlinkMessage::NewRoute(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: None,
    }
}

/// Asks for all interfaces.
pub(crate) fn list_links() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(LinkMessage::default())
}

/// Asks for all IPv4 addresses.
pub(crate) fn list_addresses() -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    RouteNetlinkMessage::GetAddress(message)
}

/// Asks for all IPv4 routes.
pub(crate) fn list_routes() -> RouteNetlinkMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    RouteNetlinkMessage::GetRoute(message)
}

fn set_up(message: &mut LinkMessage) {
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
}
