//! The bridge and the kernel settings that go with it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo};

use crate::messages::{self, Mac};
use crate::netlink::Netlink;
use crate::{Error, Spec, Subnet};

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
const FORWARDING_6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// An interface of the machine, as far as we care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    /// Index of the bridge that it is a port of.
    pub(crate) bridge: Option<u32>,
    pub(crate) is_veth: bool,
    /// A note on the interface, as `ip link` shows it; on a bridge of ours, whose it is.
    pub(crate) alias: Option<String>,
}

/// Chooses the bridge's name: `wanted`, or when another engine (natively, with a home of its own)
/// has that one, the next number at its end.
pub(crate) fn choose_name(
    netlink: &mut Netlink,
    wanted: &str,
    owner: &str,
) -> Result<String, Error> {
    let links = links(netlink)?;
    let stem = wanted.trim_end_matches(|c: char| c.is_ascii_digit());
    let others = (0..100).map(|number| format!("{stem}{number}"));
    std::iter::once(wanted.to_owned())
        .chain(others)
        .find(|name| {
            let alias = links.get(name).map(|link| link.alias.as_deref());
            matches!(alias, None | Some(None)) || alias == Some(Some(owner))
        })
        .ok_or_else(|| Error::NoFreeBridge {
            stem: stem.to_owned(),
        })
}

/// All interfaces by name.
pub(crate) fn links(netlink: &mut Netlink) -> Result<BTreeMap<String, Link>, Error> {
    let mut found = BTreeMap::new();
    for message in netlink.dump(messages::list_links())? {
        let RouteNetlinkMessage::NewLink(message) = message else {
            continue;
        };
        let mut name = None;
        let mut link = Link {
            index: message.header.index,
            bridge: None,
            is_veth: false,
            alias: None,
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text),
                LinkAttribute::IfAlias(text) => link.alias = Some(text),
                LinkAttribute::Controller(index) => link.bridge = Some(index),
                LinkAttribute::LinkInfo(infos) => {
                    link.is_veth = infos.contains(&LinkInfo::Kind(InfoKind::Veth));
                }
                _ => {}
            }
        }
        found.extend(name.map(|name| (name, link)));
    }
    Ok(found)
}

/// Makes sure that a network's bridge is there, is up, is marked as `owner`'s and has the gateways'
/// addresses and no others, and that the machine forwards packets. Returns the bridge's index.
pub(crate) fn ensure(netlink: &mut Netlink, spec: &Spec, owner: &str) -> Result<u32, Error> {
    let name = &spec.interface;
    let wanted: Vec<(IpAddr, Subnet)> = spec.gateways().collect();
    let found = links(netlink)?;
    let index = match found.get(name) {
        Some(link) => link.index,
        None => {
            let first = wanted.iter().map(|(ip, _)| *ip).find(IpAddr::is_ipv4);
            let address = first.map_or_else(|| scattered(&spec.id), mac);
            netlink.apply(vec![messages::add_bridge(name, address, spec.mtu)])?;
            index_of(netlink, name)?
        }
    };
    let ipv6 = wanted.iter().any(|(ip, _)| ip.is_ipv6());
    // Without a link-local address nothing of the machine answers there.
    let off = if ipv6 { "0" } else { "1" };
    switch(&conf("ipv6", name, "disable_ipv6"), off)?;
    if ipv6 {
        // Nobody on a network of containers tells the machine its routes.
        switch(&conf("ipv6", name, "accept_ra"), "0")?;
        switch(Path::new(FORWARDING_6), "1")?;
    }
    // For ports published on the machine's own loopback address.
    switch(&conf("ipv4", name, "route_localnet"), "1")?;
    let mut changes: Vec<_> = addresses(netlink, index)?
        .into_iter()
        .filter(|(ip, prefix_len)| {
            let link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
            let kept = wanted
                .iter()
                .any(|(other, subnet)| other == ip && subnet.prefix_len() == *prefix_len);
            !link_local && !kept
        })
        .map(|(ip, prefix_len)| {
            messages::remove_address(index, name, ip, Subnet::new(ip, prefix_len))
        })
        .collect();
    changes.extend(
        wanted
            .iter()
            .map(|(ip, subnet)| messages::add_address(index, name, *ip, *subnet)),
    );
    changes.push(messages::mark(index, name, owner));
    changes.push(messages::bring_up(index, name));
    netlink.apply(changes)?;
    if !switch(Path::new(FORWARDING), "1")? {
        return Err(Error::file("find", FORWARDING)(io::Error::from(
            io::ErrorKind::NotFound,
        )));
    }
    Ok(index)
}

/// The index of an interface that is there.
pub(crate) fn index_of(netlink: &mut Netlink, name: &str) -> Result<u32, Error> {
    links(netlink)?
        .get(name)
        .map(|link| link.index)
        .ok_or_else(|| Error::Refused {
            step: format!("find the interface {name}"),
            source: io::Error::from_raw_os_error(libc::ENODEV),
        })
}

/// The index of an interface of the calling thread's namespace. Unlike [`index_of`] it takes no
/// longer with many interfaces.
pub(crate) fn find(name: &str) -> Result<u32, Error> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )
    .map_err(|error| Error::Netlink(error.into()))?;
    rustix::net::netdevice::name_to_index(socket, name).map_err(|error| Error::Refused {
        step: format!("find the interface {name}"),
        source: error.into(),
    })
}

fn conf(family: &str, interface: &str, name: &str) -> PathBuf {
    format!("/proc/sys/net/{family}/conf/{interface}/{name}").into()
}

fn addresses(netlink: &mut Netlink, index: u32) -> Result<Vec<(IpAddr, u8)>, Error> {
    let mut found = Vec::new();
    for message in netlink.dump(messages::list_addresses())? {
        let RouteNetlinkMessage::NewAddress(message) = message else {
            continue;
        };
        if message.header.index != index {
            continue;
        }
        let own = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Local(ip) => Some(*ip),
                _ => None,
            });
        let of = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                AddressAttribute::Address(ip) => Some(*ip),
                _ => None,
            });
        found.extend(own.or(of).map(|ip| (ip, message.header.prefix_len)));
    }
    Ok(found)
}

/// Writes a kernel setting unless it has the value already (the file system may be read-only for
/// us, but set up right). False when the kernel has no such setting.
pub(crate) fn switch(path: &Path, value: &str) -> Result<bool, Error> {
    match fs::read_to_string(path) {
        Ok(now) if now.trim() == value => Ok(true),
        Ok(_) => fs::write(path, value)
            .map(|()| true)
            .map_err(Error::file("write", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

/// Docker's scheme: a locally administered prefix and the address; of IPv6 its last part.
pub(crate) fn mac(ip: IpAddr) -> Mac {
    let [a, b, c, d] = match ip {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            [a, b, c, d]
        }
    };
    [0x02, 0x42, a, b, c, d]
}

/// An address that follows from an id.
pub(crate) fn scattered(id: &str) -> Mac {
    let mut mac: Mac = [0x02, 0x42, 0, 0, 0, 0];
    for (number, byte) in id.bytes().enumerate() {
        if let Some(part) = mac.get_mut(2 + number % 4) {
            *part = part.rotate_left(3) ^ byte;
        }
    }
    mac
}
