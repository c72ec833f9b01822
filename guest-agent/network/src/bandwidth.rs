//! How fast a container may send and receive.
//!
//! What it receives is what its interface on the machine sends, and is shaped there. What it sends
//! is shaped at its own interface, where a packet can wait, and dropped beyond the limit where it
//! arrives on the machine: a container that may change its network can do away with the first only.

use std::collections::BTreeMap;

use crate::netlink::Netlink;
use crate::{Error, Networks, bridge, firewall, messages};

/// How fast a container may send and receive; `None` is as fast as it gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// What it sends, bits a second.
    pub egress: Option<u64>,
    /// What it receives, bits a second.
    pub ingress: Option<u64>,
}

impl Networks {
    /// Limits how fast a container may send and receive on each of its networks, from now on; what
    /// is `None` is not limited.
    ///
    /// # Errors
    /// When the container is on no network, or the kernel can't limit.
    pub fn limit(&self, container: &str, bandwidth: &Bandwidth) -> Result<(), Error> {
        let endpoints = self.endpoints(container);
        if endpoints.is_empty() {
            return Err(Error::NotAttached {
                id: container.to_owned(),
            });
        }
        for endpoint in endpoints.iter().filter(|e| !e.host_iface.is_empty()) {
            let name = &endpoint.host_iface;
            let mut shared = self.shared();
            shape(&mut shared.netlink, name, bandwidth.ingress)?;
            let before = match bandwidth.egress {
                Some(rate) => shared.limited.insert(name.clone(), bytes(rate)),
                None => shared.limited.remove(name),
            };
            if before != bandwidth.egress.map(bytes) {
                self.police(&shared.limited)?;
            }
            drop(shared);
            self.namespaces.enter(container, || {
                shape(&mut Netlink::open()?, &endpoint.iface, bandwidth.egress)
            })?;
        }
        Ok(())
    }

    /// Forgets the limit of an interface that goes.
    pub(crate) fn unlimit(&self, host_iface: &str) {
        let mut shared = self.shared();
        if shared.limited.remove(host_iface).is_some()
            && let Err(error) = self.police(&shared.limited)
        {
            tracing::warn!(%error, "the limit of a container that is gone stays");
        }
    }

    /// Limits what an earlier engine has limited: what it dropped went with its table, if that.
    pub(crate) fn restore_limits(&self, limits: &BTreeMap<String, Bandwidth>) {
        let mut shared = self.shared();
        for (container, bandwidth) in limits {
            let Some(rate) = bandwidth.egress else {
                continue;
            };
            let endpoints = self.endpoints(container);
            let names = endpoints.into_iter().map(|endpoint| endpoint.host_iface);
            let names = names.filter(|name| !name.is_empty());
            shared.limited.extend(names.map(|name| (name, bytes(rate))));
        }
        if !shared.limited.is_empty()
            && let Err(error) = self.police(&shared.limited)
        {
            tracing::error!(%error, "containers may send faster than they are allowed");
        }
    }

    /// Has the machine drop what comes in faster.
    fn police(&self, limited: &BTreeMap<String, u64>) -> Result<(), Error> {
        // One that has gone by itself must not keep the others from their limits.
        let there = limited
            .iter()
            .filter(|(name, _)| bridge::find(name).is_ok());
        let there = there.map(|(name, rate)| (name.clone(), *rate)).collect();
        firewall::limit(&self.options.nft, &self.options.bridge, &there)
    }
}

/// Bytes a second of bits a second.
fn bytes(bits: u64) -> u64 {
    (bits / 8).max(1)
}

/// Limits what an interface sends, in bits a second.
fn shape(netlink: &mut Netlink, name: &str, rate: Option<u64>) -> Result<(), Error> {
    let links = bridge::links(netlink)?;
    let link = links.get(name).ok_or_else(|| Error::Refused {
        step: format!("find the interface {name}"),
        source: std::io::Error::from_raw_os_error(libc::ENODEV),
    })?;
    netlink
        .apply(vec![messages::shape(link.index, name, rate.map(bytes))])
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
