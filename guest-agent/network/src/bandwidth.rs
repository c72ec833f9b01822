//! How fast a container may send and receive.

use crate::netlink::Netlink;
use crate::{Error, bridge, messages};

/// How fast a container may send and receive; `None` is as fast as it gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// What it sends, bits a second.
    pub egress: Option<u64>,
    /// What it receives, bits a second.
    pub ingress: Option<u64>,
}

/// Limits what an interface sends, in bits a second.
pub(crate) fn shape(netlink: &mut Netlink, name: &str, rate: Option<u64>) -> Result<(), Error> {
    let links = bridge::links(netlink)?;
    let link = links.get(name).ok_or_else(|| Error::Refused {
        step: format!("find the interface {name}"),
        source: std::io::Error::from_raw_os_error(libc::ENODEV),
    })?;
    let bytes = rate.map(|bits| (bits / 8).max(1));
    netlink
        .apply(vec![messages::shape(link.index, name, bytes)])
        .map_err(|error| match error {
            // What the kernel says of a discipline that it does not have.
            Error::Refused { source, .. }
                if rate.is_some() && source.raw_os_error() == Some(libc::ENOENT) =>
            {
                Error::NoShaping
            }
            other => other,
        })
}
