//! A container's network namespace, and its endpoints on networks.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use crate::bridge::{self, switch};
use crate::leases::Leases;
use crate::names::NameSockets;
use crate::netlink::{Change, Netlink};
use crate::networks::{Networks, VETH_PREFIX};
use crate::pool::within;
use crate::{Endpoint, Error, Gateway, Kind, Request, Spec, Subnet, firewall, messages};

/// A namespace that was made.
#[derive(Debug)]
pub struct Sandbox {
    /// A bind mount of its nsfs file.
    pub netns: PathBuf,
    /// Its endpoints, as they were asked for.
    pub endpoints: Vec<Endpoint>,
    /// Where its questions for names arrive.
    pub names: Option<NameSockets>,
}

/// An endpoint that has addresses and no interface yet.
struct Planned {
    spec: Spec,
    endpoint: Endpoint,
    mac: Option<[u8; 6]>,
    sysctls: Vec<(String, String)>,
    /// More addresses, of its link alone.
    link_local: Vec<IpAddr>,
}

impl Networks {
    /// Gives a container a namespace with endpoints on networks; without any it has the loopback
    /// interface alone. With `names`, what it asks at 127.0.0.11 arrives at sockets of ours.
    ///
    /// # Errors
    /// When it has one already, no address is free, or the machine can't do it; nothing is left
    /// behind then.
    pub fn open_sandbox(
        &self,
        container: &str,
        requests: &[Request],
        names: bool,
    ) -> Result<Sandbox, Error> {
        let id = checked(container)?;
        let mut planned = Vec::new();
        let made = self.plan_all(id, requests, &mut planned).and_then(|()| {
            self.namespaces.create(id, |fresh| {
                for one in &planned {
                    self.connect(one, fresh.as_fd())?;
                }
                if planned.iter().any(|one| one.endpoint.ipv6.is_some()) {
                    let allow = || planned.iter().try_for_each(allow_ipv6);
                    self.namespaces.enter(id, allow)?;
                }
                for one in &planned {
                    configure(&mut fresh.netlink, one)?;
                }
                let endpoints: Vec<&Endpoint> = planned.iter().map(|one| &one.endpoint).collect();
                route(&mut fresh.netlink, &endpoints, false)?;
                if !names && planned.iter().all(|one| one.sysctls.is_empty()) {
                    return Ok(None);
                }
                self.namespaces.enter(id, || {
                    planned.iter().try_for_each(set_sysctls)?;
                    names.then(|| self.bind_names(id)).transpose()
                })
            })
        });
        match made {
            Ok(names) => Ok(Sandbox {
                netns: self.namespaces.path(id),
                endpoints: planned.into_iter().map(|one| one.endpoint).collect(),
                names,
            }),
            Err(error) => {
                if let Err(left) = self.close_sandbox(id) {
                    tracing::warn!(error = %left, "a half-made attachment stays until the next start");
                }
                Err(error)
            }
        }
    }

    /// Takes everything of a container away: namespace, leases, interfaces (a little later, when
    /// the kernel gets to it; addresses stay taken until then). Nothing being there is fine.
    ///
    /// # Errors
    /// When the kernel refuses a step; calling again continues.
    pub fn close_sandbox(&self, container: &str) -> Result<(), Error> {
        self.leave_all(container)?;
        self.remove_namespace(container)
    }

    /// Takes a container off its networks; it keeps its namespace, which nobody else sees.
    ///
    /// # Errors
    /// When a lease can't be removed; calling again continues.
    pub fn leave_all(&self, container: &str) -> Result<(), Error> {
        let id = checked(container)?;
        self.names.forget(id);
        for endpoint in self.endpoints(id) {
            self.end(id, &endpoint.network_id)?;
        }
        Ok(())
    }

    /// Takes away the namespace of a container that is on no network any more.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn remove_namespace(&self, container: &str) -> Result<(), Error> {
        self.namespaces.remove(checked(container)?)
    }

    /// Connects a container that has a namespace to another network.
    ///
    /// # Errors
    /// As [`Networks::open_sandbox`].
    pub fn join(&self, container: &str, request: &Request) -> Result<Endpoint, Error> {
        let id = checked(container)?;
        let planned = self.plan(id, request)?;
        let path = self.namespaces.path(id);
        let made = std::fs::File::open(&path)
            .map_err(Error::file("open", &path))
            .and_then(|netns| {
                self.connect(&planned, netns.as_fd())?;
                self.namespaces.enter(id, || {
                    allow_ipv6(&planned)?;
                    let mut netlink = Netlink::open()?;
                    configure(&mut netlink, &planned)?;
                    set_sysctls(&planned)?;
                    let all = self.endpoints(id);
                    route(&mut netlink, &all.iter().collect::<Vec<_>>(), true)
                })
            });
        if let Err(error) = made {
            if let Err(left) = self.end(id, &request.network) {
                tracing::warn!(error = %left, "a half-made attachment stays until the next start");
            }
            return Err(error);
        }
        Ok(planned.endpoint)
    }

    /// Disconnects a container from a network; that it is not on it is fine.
    ///
    /// # Errors
    /// When the kernel refuses a step.
    pub fn leave(&self, container: &str, network: &str) -> Result<(), Error> {
        let id = checked(container)?;
        let Some(endpoint) = self.endpoint(id, network) else {
            return Ok(());
        };
        if self.namespaces.exists(id) {
            let left: Vec<Endpoint> = self
                .endpoints(id)
                .into_iter()
                .filter(|other| other.network_id != network)
                .collect();
            self.namespaces.enter(id, || {
                let mut netlink = Netlink::open()?;
                netlink.apply(vec![messages::remove_link(&endpoint.iface)])?;
                route(&mut netlink, &left.iter().collect::<Vec<_>>(), true)
            })?;
        }
        self.end(id, network)
    }

    /// The sockets of a container whose namespace an earlier engine made; nothing where it asks
    /// elsewhere for names.
    ///
    /// # Errors
    /// When they can't be had.
    pub fn reopen_names(&self, container: &str) -> Result<Option<NameSockets>, Error> {
        let Some(ports) = self.names.of(container) else {
            return Ok(None);
        };
        self.namespaces
            .enter(container, || NameSockets::bind(Some(ports)).map(Some))
    }

    /// Sockets for the questions of a container that has had none so far.
    ///
    /// # Errors
    /// When they can't be had.
    pub fn open_names(&self, container: &str) -> Result<Option<NameSockets>, Error> {
        let id = checked(container)?;
        if self.names.of(id).is_some() {
            return Ok(None);
        }
        self.namespaces.enter(id, || self.bind_names(id).map(Some))
    }

    /// Sockets in the calling thread's namespace, and the way to them.
    fn bind_names(&self, id: &str) -> Result<NameSockets, Error> {
        let sockets = NameSockets::bind(None)?;
        let (udp, tcp) = sockets.ports()?;
        firewall::redirect_names(&self.options.nft, udp, tcp)?;
        self.names.remember(id, (udp, tcp))?;
        Ok(sockets)
    }

    fn end(&self, id: &str, network: &str) -> Result<(), Error> {
        let Some(lease) = self.leases().remove(id, network)? else {
            return Ok(());
        };
        self.unlimit(&lease.host_iface);
        self.sweeper.end(lease)
    }

    fn plan_all(
        &self,
        id: &str,
        requests: &[Request],
        planned: &mut Vec<Planned>,
    ) -> Result<(), Error> {
        for request in requests {
            planned.push(self.plan(id, request)?);
        }
        Ok(())
    }

    /// Reserves addresses.
    fn plan(&self, id: &str, request: &Request) -> Result<Planned, Error> {
        let spec = self.ensure_up(&mut self.shared(), &request.network)?;
        let endpoint_id = random_id()?;
        let mut leases = self.leases();
        if leases.get(id, &spec.id).is_some() {
            return Err(Error::AlreadyAttached {
                id: id.to_owned(),
                network: request.name.clone(),
            });
        }
        let name = &request.name;
        let choose = |leases: &Leases| -> Result<_, Error> {
            let ipv4 = leases.choose(&spec, id, name, true, request.ipv4)?;
            let ipv6 = match request.without_ipv6 {
                true => None,
                false => leases.choose(&spec, id, name, false, request.ipv6)?,
            };
            Ok((ipv4, ipv6))
        };
        let (ipv4, ipv6) = match choose(&leases) {
            // Interfaces of leases that ended may be about to go.
            Err(Error::AddressInUse | Error::NoFreeAddress { .. }) => {
                drop(leases);
                self.sweeper.wait()?;
                leases = self.leases();
                choose(&leases)?
            }
            chosen => chosen?,
        };
        let first = ipv4.or(ipv6).map(|address| address.ip);
        let mac = request
            .mac
            .unwrap_or_else(|| first.map_or_else(|| bridge::scattered(&endpoint_id), bridge::mac));
        let iface = match &request.interface {
            Some(name) => name.clone(),
            None => next_name(&leases.of(id)),
        };
        let isolated = |ipv4| spec.gateway_mode(ipv4) == Gateway::Isolated;
        let endpoint = Endpoint {
            netns: self.namespaces.path(id),
            ipv4,
            ipv6,
            mac: mac.map(|byte| format!("{byte:02x}")).join(":"),
            host_iface: match spec.kind {
                Kind::Bridge => veth(&endpoint_id),
                Kind::Macvlan(_) | Kind::Ipvlan(_) => String::new(),
            },
            endpoint_id,
            network_id: spec.id.clone(),
            iface,
            priority: request.priority,
            network_name: request.name.clone(),
            leads_out: !(spec.internal || isolated(true) && isolated(false)),
            routes_by_interface: spec.routes_by_interface(),
        };
        leases.insert(id, endpoint.clone())?;
        Ok(Planned {
            spec,
            endpoint,
            mac: Some(mac),
            sysctls: request.sysctls.clone(),
            link_local: request.link_local.clone(),
        })
    }

    /// Makes the interfaces from the machine's side.
    fn connect(&self, planned: &Planned, netns: BorrowedFd<'_>) -> Result<(), Error> {
        let Planned { spec, endpoint, .. } = planned;
        let mut shared = self.shared();
        // The kernel takes no name that an interface of the machine's has, wherever the new one is to be.
        let passing = veth(&endpoint.endpoint_id);
        let named = || {
            if spec.is_bridge() {
                return Ok(());
            }
            within(netns, || {
                let mut netlink = Netlink::open()?;
                let index = bridge::index_of(&mut netlink, &passing)?;
                netlink.apply(vec![messages::rename(index, &endpoint.iface)])
            })
        };
        let link = |index: u32| -> Vec<Change> {
            let name = &endpoint.host_iface;
            let mac = planned.mac.unwrap_or_default();
            match spec.kind {
                Kind::Bridge => {
                    let pair =
                        messages::add_veth(name, index, &endpoint.iface, netns, mac, spec.mtu);
                    let alone = (!spec.icc).then(|| messages::isolate(name));
                    std::iter::once(pair).chain(alone).collect()
                }
                kind => {
                    // All of an ipvlan have the address of the interface that they share.
                    let mac = matches!(kind, Kind::Macvlan(_)).then_some(mac);
                    vec![messages::add_shared(
                        kind, index, &passing, netns, mac, spec.mtu,
                    )]
                }
            }
        };
        let first =
            bridge::find(&spec.interface).and_then(|index| shared.netlink.apply(link(index)));
        let Err(first) = first else {
            return named();
        };
        // Somebody may have taken the bridge away (a network manager, an `ip link delete`), or
        // left an interface of this name: put that right and try once more.
        tracing::warn!(error = %first, "connecting a container failed, trying once more");
        if !endpoint.host_iface.is_empty() {
            let old = messages::remove_link(&endpoint.host_iface);
            shared.netlink.apply(vec![old])?;
        }
        let index = self.repair(&mut shared, spec)?;
        shared.netlink.apply(link(index))?;
        named()
    }
}

/// Lets an interface have IPv6 addresses, in the calling thread's namespace.
fn allow_ipv6(planned: &Planned) -> Result<(), Error> {
    let endpoint = &planned.endpoint;
    if endpoint.ipv6.is_some() || planned.link_local.iter().any(IpAddr::is_ipv6) {
        let path = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", endpoint.iface);
        switch(Path::new(&path), "0")?;
    }
    Ok(())
}

/// An interface's addresses, through a socket of its namespace.
fn configure(netlink: &mut Netlink, planned: &Planned) -> Result<(), Error> {
    let endpoint = &planned.endpoint;
    let name = &endpoint.iface;
    let index = bridge::index_of(netlink, name)?;
    let mut changes = vec![messages::bring_up(index, name)];
    for address in endpoint.addresses() {
        let subnet = Subnet::new(address.ip, address.prefix_len);
        changes.push(messages::add_address(index, name, address.ip, subnet));
    }
    for ip in &planned.link_local {
        let subnet = Subnet::new(*ip, if ip.is_ipv4() { 16 } else { 64 });
        changes.push(messages::add_address(index, name, *ip, subnet));
    }
    netlink.apply(changes)
}

/// An interface's settings, in the calling thread's namespace.
fn set_sysctls(planned: &Planned) -> Result<(), Error> {
    for (key, value) in &planned.sysctls {
        let name = key.replace("IFNAME", &planned.endpoint.iface);
        let path = Path::new("/proc/sys/net").join(name);
        if !switch(&path, value)? {
            return Err(Error::file("find", path)(io::Error::from(
                io::ErrorKind::NotFound,
            )));
        }
    }
    Ok(())
}

/// The default routes: through the endpoint with the highest priority, of several one with addresses
/// of both kinds, of these the first by the network's name.
fn route(netlink: &mut Netlink, endpoints: &[&Endpoint], replace: bool) -> Result<(), Error> {
    let mut changes = Vec::new();
    for ipv4 in [true, false] {
        let address = |endpoint: &Endpoint| if ipv4 { endpoint.ipv4 } else { endpoint.ipv6 };
        let gateway = |endpoint: &Endpoint| -> Option<IpAddr> {
            address(endpoint).and_then(|address| address.gateway)
        };
        let leads = |endpoint: &Endpoint| {
            gateway(endpoint).is_some()
                || (endpoint.routes_by_interface && address(endpoint).is_some())
        };
        let best = endpoints
            .iter()
            .filter(|endpoint| endpoint.leads_out && leads(endpoint))
            .min_by_key(|endpoint| {
                let both = endpoint.ipv4.is_some() && endpoint.ipv6.is_some();
                (-endpoint.priority, !both, endpoint.network_name.clone())
            });
        if replace {
            changes.push(messages::remove_default_route(ipv4));
        }
        if let Some(best) = best {
            let index = bridge::index_of(netlink, &best.iface)?;
            changes.push(messages::add_default_route(index, ipv4, gateway(best)));
        }
    }
    netlink.apply(changes)
}

/// Container ids are file names and parts of interface names here.
pub(crate) fn checked(id: &str) -> Result<&str, Error> {
    if id.len() >= 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(id)
    } else {
        Err(Error::InvalidId { id: id.to_owned() })
    }
}

/// The first of `eth0`, `eth1` … that no endpoint has.
fn next_name(endpoints: &[Endpoint]) -> String {
    (0..=endpoints.len())
        .map(|number| format!("eth{number}"))
        .find(|name| !endpoints.iter().any(|endpoint| endpoint.iface == *name))
        .unwrap_or_else(|| format!("eth{}", endpoints.len()))
}

/// Name of an endpoint's interface on the machine: as much of its id as the kernel's 15 bytes
/// leave room for. A new attachment has a new name, so it never meets one that is being removed.
fn veth(endpoint_id: &str) -> String {
    format!(
        "{VETH_PREFIX}{}",
        endpoint_id.get(..12).unwrap_or(endpoint_id)
    )
}

/// 64 random hexadecimal digits.
fn random_id() -> Result<String, Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| io::Error::other(error.to_string()))
        .map_err(Error::file("read", "the kernel's random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
