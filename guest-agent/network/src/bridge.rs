//! The bridge and the kernel settings that go with it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo};

use crate::messages::{self, Mac};
use crate::netlink::Netlink;
use crate::{Error, Subnet};

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

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

/// Makes sure that the bridge is there, is up, is marked as `owner`'s and has the gateway's address
/// and no other, and that the machine forwards packets. Returns the bridge's index.
pub(crate) fn ensure(
    netlink: &mut Netlink,
    name: &str,
    owner: &str,
    subnet: Subnet,
    mtu: u32,
) -> Result<u32, Error> {
    let index = match links(netlink)?.get(name) {
        Some(link) => link.index,
        None => {
            netlink.apply(vec![messages::add_bridge(name, mac(subnet.gateway()), mtu)])?;
            let found = links(netlink)?;
            found
                .get(name)
                .ok_or_else(|| Error::Refused {
                    step: format!("show the bridge {name} that it just made"),
                    source: io::ErrorKind::NotFound.into(),
                })?
                .index
        }
    };
    // The bridge has no IPv6 yet: without a link-local address nothing of the machine answers it.
    switch(
        Path::new(&format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6")),
        "1",
    )?;
    let mut changes: Vec<_> = addresses(netlink, index)?
        .into_iter()
        .filter(|(ip, prefix_len)| (*ip, *prefix_len) != (subnet.gateway(), subnet.prefix_len()))
        .map(|(ip, prefix_len)| {
            messages::remove_address(index, name, ip, Subnet::new(ip, prefix_len))
        })
        .collect();
    changes.push(messages::add_address(index, name, subnet.gateway(), subnet));
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

fn addresses(netlink: &mut Netlink, index: u32) -> Result<Vec<(Ipv4Addr, u8)>, Error> {
    let mut found = Vec::new();
    for message in netlink.dump(messages::list_addresses())? {
        let RouteNetlinkMessage::NewAddress(message) = message else {
            continue;
        };
        if message.header.index != index {
            continue;
        }
        for attribute in message.attributes {
            if let AddressAttribute::Local(IpAddr::V4(ip)) = attribute {
                found.push((ip, message.header.prefix_len));
            }
        }
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

/// Docker's scheme: a locally administered prefix and the address.
pub(crate) fn mac(ip: Ipv4Addr) -> Mac {
    let [a, b, c, d] = ip.octets();
    [0x02, 0x42, a, b, c, d]
}
