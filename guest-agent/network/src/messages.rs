//! The changes and questions that this crate sends to the kernel.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
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

/// The handle of our queueing discipline: what others put on an interface has another one.
const SHAPER: TcHandle = TcHandle {
    major: 0x5317,
    minor: 0,
};

/// Lets an interface send so many bytes a second: a token bucket filter, or the kernel's default
/// again for `None`.
pub(crate) fn shape(index: u32, name: &str, bytes_per_second: Option<u64>) -> Change {
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.handle = SHAPER;
    message.header.parent = TcHandle::ROOT;
    let Some(rate) = bytes_per_second else {
        return Change {
            step: format!("lift the limit of {name}"),
            message: RouteNetlinkMessage::DelQueueDiscipline(message),
            flags: 0,
            // Another discipline than ours, the kernel's default one for instance.
            fine: Some(libc::EINVAL),
        };
    };
    message.attributes = vec![
        TcAttribute::Kind("tbf".to_owned()),
        TcAttribute::Options(token_bucket(rate)),
    ];
    Change {
        step: format!("limit {name}"),
        message: RouteNetlinkMessage::NewQueueDiscipline(message),
        flags: NLM_F_CREATE | NLM_F_REPLACE,
        fine: None,
    }
}

/// The options of a token bucket filter, as linux/pkt_sched.h has them.
fn token_bucket(rate: u64) -> Vec<TcOption> {
    const PARMS: u16 = 1;
    const RATE64: u16 = 4;
    const BURST: u16 = 6;
    /// With this link layer the kernel needs no table of rates.
    const ETHERNET: u8 = 1;
    /// A burst must hold the largest packets that a pair of interfaces passes on in one piece.
    const LEAST: u64 = 64 * 1024;

    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    // Ten milliseconds at full speed, and a queue of a tenth of a second behind it.
    let burst = small((rate / 100).max(LEAST));
    let queue = small(u64::from(burst) + (rate / 10).max(LEAST));
    let mut parms = vec![0, ETHERNET, 0, 0, 0, 0, 0, 0];
    parms.extend(small(rate).to_ne_bytes());
    // No peak rate; the sizes in ticks at the end are not read, the burst comes in bytes.
    parms.extend([0; 12]);
    parms.extend(queue.to_ne_bytes());
    parms.extend([0; 8]);
    [
        (PARMS, parms),
        (RATE64, rate.to_ne_bytes().to_vec()),
        (BURST, burst.to_ne_bytes().to_vec()),
    ]
    .into_iter()
    .map(|(kind, value)| TcOption::Other(DefaultNla::new(kind, value)))
    .collect()
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
