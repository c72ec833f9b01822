//! The changes and questions that this crate sends to the kernel.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoBridge, InfoBridgePort, InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoPortData,
    InfoPortKind, InfoVeth, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::netlink::Change;
use crate::{Kind, Subnet};

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

/// Gives an interface that is down another name.
pub(crate) fn rename(index: u32, name: &str) -> Change {
    let step = format!("name an interface {name}");
    set(index, LinkAttribute::IfName(name.to_owned()), step)
}

/// Leaves a note on an interface.
pub(crate) fn mark(index: u32, name: &str, note: &str) -> Change {
    let step = format!("mark {name} as ours");
    set(index, LinkAttribute::IfAlias(note.to_owned()), step)
}

/// Changes one thing about an interface.
fn set(index: u32, attribute: LinkAttribute, step: String) -> Change {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = vec![attribute];
    Change {
        step,
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

/// Keeps a port of a bridge from all other ports that are kept so, too.
pub(crate) fn isolate(name: &str) -> Change {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(
                true,
            )])),
        ]),
    ];
    Change {
        step: format!("keep {name} from its neighbours"),
        // What a port is like is only read from this kind of message.
        message: RouteNetlinkMessage::NewLink(message),
        flags: 0,
        fine: None,
    }
}

/// Makes an interface of a macvlan or ipvlan network on `parent`, in the namespace `netns`.
pub(crate) fn add_shared(
    kind: Kind,
    parent: u32,
    name: &str,
    netns: BorrowedFd<'_>,
    mac: Option<Mac>,
    mtu: u32,
) -> Change {
    let info = match kind {
        Kind::Ipvlan(mode) => vec![
            LinkInfo::Kind(InfoKind::IpVlan),
            LinkInfo::Data(InfoData::IpVlan(vec![InfoIpVlan::Mode(mode.into())])),
        ],
        Kind::Macvlan(mode) => vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(mode.into())])),
        ],
        Kind::Bridge => Vec::new(),
    };
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::Link(parent),
        LinkAttribute::NetNsFd(netns.as_raw_fd()),
        LinkAttribute::LinkInfo(info),
    ];
    message
        .attributes
        .extend(mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    Change {
        step: format!("make the interface {name}"),
        message: RouteNetlinkMessage::NewLink(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: None,
    }
}

/// Makes a dummy interface, for networks that share one and have none.
pub(crate) fn add_dummy(name: &str, mtu: u32) -> Change {
    let mut message = LinkMessage::default();
    set_up(&mut message);
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Dummy)]),
    ];
    Change {
        step: format!("make the interface {name}"),
        message: RouteNetlinkMessage::NewLink(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: Some(libc::EEXIST),
    }
}

/// Makes the interface `name`, which is the VLAN `id` on `parent`.
pub(crate) fn add_vlan(name: &str, parent: u32, id: u16) -> Change {
    let mut message = LinkMessage::default();
    set_up(&mut message);
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Link(parent),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Vlan),
            LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(id)])),
        ]),
    ];
    Change {
        step: format!("make the interface {name}"),
        message: RouteNetlinkMessage::NewLink(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: None,
    }
}

/// Gives an interface an address of a subnet.
pub(crate) fn add_address(index: u32, name: &str, ip: impl Into<IpAddr>, subnet: Subnet) -> Change {
    let ip = ip.into();
    Change {
        step: format!("add the address {ip}/{} to {name}", subnet.prefix_len()),
        message: RouteNetlinkMessage::NewAddress(address(index, ip, subnet)),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: Some(libc::EEXIST),
    }
}

/// Takes an address away from an interface.
pub(crate) fn remove_address(
    index: u32,
    name: &str,
    ip: impl Into<IpAddr>,
    subnet: Subnet,
) -> Change {
    let ip = ip.into();
    Change {
        step: format!("remove the address {ip} from {name}"),
        message: RouteNetlinkMessage::DelAddress(address(index, ip, subnet)),
        flags: 0,
        fine: Some(libc::EADDRNOTAVAIL),
    }
}

fn family(ip: IpAddr) -> AddressFamily {
    match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn address(index: u32, ip: IpAddr, subnet: Subnet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(ip);
    message.header.prefix_len = subnet.prefix_len();
    message.header.scope = AddressScope::Universe;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    match subnet.last() {
        IpAddr::V4(last) => message.attributes.push(AddressAttribute::Broadcast(last)),
        // Nobody else can have it: no need to look for a second one before it is used.
        IpAddr::V6(_) => message.header.flags = AddressHeaderFlags::Nodad,
    }
    message
}

/// Sends everything that no other route takes out of an interface, to `gateway` if there is one.
pub(crate) fn add_default_route(index: u32, ipv4: bool, gateway: Option<IpAddr>) -> Change {
    let mut message = default_route(ipv4);
    message.attributes = vec![RouteAttribute::Oif(index)];
    if let Some(gateway) = gateway {
        message
            .attributes
            .push(RouteAttribute::Gateway(gateway.into()));
    } else {
        message.header.scope = RouteScope::Link;
    }
    Change {
        step: match gateway {
            Some(gateway) => format!("add the default route through {gateway}"),
            None => "add the default route".to_owned(),
        },
        message: RouteNetlinkMessage::NewRoute(message),
        flags: NLM_F_CREATE | NLM_F_EXCL,
        fine: Some(libc::EEXIST),
    }
}

/// Takes the default route away; that there is none is fine.
pub(crate) fn remove_default_route(ipv4: bool) -> Change {
    let mut message = default_route(ipv4);
    message.header.scope = RouteScope::NoWhere;
    Change {
        step: "remove the default route".to_owned(),
        message: RouteNetlinkMessage::DelRoute(message),
        flags: 0,
        fine: Some(libc::ESRCH),
    }
}

fn default_route(ipv4: bool) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = if ipv4 {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    message
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

/// A burst must hold the largest packets that a pair of interfaces passes on in one piece.
const LEAST_BURST: u64 = 64 * 1024;

/// What may pass at once, in bytes: ten milliseconds at full speed.
pub(crate) fn burst(bytes_per_second: u64) -> u32 {
    u32::try_from((bytes_per_second / 100).max(LEAST_BURST)).unwrap_or(u32::MAX)
}

/// The options of a token bucket filter, as linux/pkt_sched.h has them.
fn token_bucket(rate: u64) -> Vec<TcOption> {
    const PARMS: u16 = 1;
    const RATE64: u16 = 4;
    const BURST: u16 = 6;
    /// With this link layer the kernel needs no table of rates.
    const ETHERNET: u8 = 1;

    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    // A queue of a tenth of a second behind the burst.
    let burst = burst(rate);
    let queue = small(u64::from(burst) + (rate / 10).max(LEAST_BURST));
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

/// Asks for all addresses.
pub(crate) fn list_addresses() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetAddress(AddressMessage::default())
}

/// Asks for all routes.
pub(crate) fn list_routes() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetRoute(RouteMessage::default())
}

fn set_up(message: &mut LinkMessage) {
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
}
