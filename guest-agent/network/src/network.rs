//! The default network: the public face of this crate.

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bridge::{self, switch};
use crate::identity::{Identity, random_id};
use crate::leases::Leases;
use crate::namespace::Namespaces;
use crate::netlink::Netlink;
use crate::sweeper::Sweeper;
use crate::{
    Bandwidth, Endpoint, Error, NetworkInfo, Options, Resolvers, Subnet, bandwidth, firewall,
    messages, routes,
};

/// Prefix of our interfaces' names on the machine.
const VETH_PREFIX: &str = "sw-";

/// Name of the interface inside a container.
const INSIDE: &str = "eth0";

/// The default network. Cheap to share in an `Arc`; calls may come from any thread.
#[derive(Debug)]
pub struct Network {
    options: Options,
    /// The mark on our bridge.
    owner: String,
    namespaces: Namespaces,
    leases: Arc<Mutex<Leases>>,
    sweeper: Sweeper,
    shared: Mutex<Shared>,
}

/// What calls change.
struct Shared {
    netlink: Netlink,
    identity: Identity,
    /// Index of the bridge once bridge and firewall are up.
    bridge: Result<u32, Unavailable>,
    /// [`Network::close`] was called: nothing is set up again.
    closed: bool,
    warnings: Vec<String>,
}

/// Why there is no bridge or no firewall, kept so that every attach can say it.
#[derive(Debug, Clone)]
struct Unavailable(String);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("bridge", &self.bridge)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// Opens the network: namespaces and leases under `run_dir` (gone with a reboot), its identity
    /// under `state_dir`. Where the machine can't have a bridge or a firewall, the network still
    /// opens: [`Network::info`] warns, [`Network::attach_none`] works, and [`Network::attach`]
    /// tries again and says why not.
    ///
    /// # Errors
    /// When the directories can't be used or the kernel's configuration can't be read.
    pub fn open(run_dir: &Path, state_dir: &Path, mut options: Options) -> Result<Self, Error> {
        let namespaces = Namespaces::open(run_dir.join("netns"))?;
        let leases = Leases::open(run_dir.join("leases"))?;
        let mut netlink = Netlink::open()?;
        let owner = owner(run_dir);
        options.bridge = bridge::choose_name(&mut netlink, &options.bridge, &owner)?;
        let identity = settle_identity(&mut netlink, state_dir, &options, leases.is_empty())?;
        let mut shared = Shared {
            netlink,
            identity,
            bridge: Err(Unavailable(String::new())),
            closed: false,
            warnings: Vec::new(),
        };
        shared.set_up(&options, &owner);
        let leases = Arc::new(Mutex::new(leases));
        Ok(Self {
            options,
            owner,
            namespaces,
            sweeper: Sweeper::start(Arc::clone(&leases))?,
            leases,
            shared: Mutex::new(shared),
        })
    }

    /// Gives a container a namespace with an address on the bridge and a way out.
    ///
    /// # Errors
    /// When it is attached already, no address is free, or the machine can't do it; nothing is
    /// left behind then.
    pub fn attach(&self, container: &str) -> Result<Endpoint, Error> {
        let id = checked(container)?;
        let (endpoint, bridge, subnet) = self.lease(id)?;
        let made = self.namespaces.create(id, |netns| {
            prepare_settings()?;
            self.connect(&endpoint, bridge, netns)?;
            configure_inside(endpoint.ip, subnet)
        });
        if let Err(error) = made {
            if let Err(left) = self.detach(id) {
                tracing::warn!(error = %left, "a half-made attachment stays until the next start");
            }
            return Err(error);
        }
        Ok(endpoint)
    }

    /// Gives a container a namespace with nothing but the loopback interface (`--network none`).
    ///
    /// # Errors
    /// When the kernel refuses; nothing is left behind then.
    pub fn attach_none(&self, container: &str) -> Result<PathBuf, Error> {
        let id = checked(container)?;
        self.namespaces.create(id, |_| {
            prepare_settings()?;
            Netlink::open()?.apply(vec![messages::bring_up(LOOPBACK, "lo")])
        })?;
        Ok(self.namespaces.path(id))
    }

    /// Takes everything of a container away: namespace, lease, interface (a little later, when the
    /// kernel gets to it; the address stays taken until then). Nothing being there is fine.
    ///
    /// # Errors
    /// When the kernel refuses a step; calling again continues.
    pub fn detach(&self, container: &str) -> Result<(), Error> {
        let id = checked(container)?;
        self.namespaces.remove(id)?;
        let ended = self.leases().remove(id)?;
        match ended {
            Some(lease) => self.sweeper.remove(lease.host_iface, lease.ip),
            None => Ok(()),
        }
    }

    /// The attachment of a container.
    #[must_use]
    pub fn endpoint(&self, container: &str) -> Option<Endpoint> {
        self.leases().get(container).cloned()
    }

    /// Limits how fast a container may send and receive, from now on; what is `None` is not
    /// limited.
    ///
    /// # Errors
    /// When the container is not attached, or the kernel has no token bucket filter.
    pub fn limit(&self, container: &str, bandwidth: &Bandwidth) -> Result<(), Error> {
        let id = checked(container)?;
        let endpoint = self
            .endpoint(id)
            .ok_or_else(|| Error::NotAttached { id: id.to_owned() })?;
        // What the container receives is what its interface on the machine sends, and what it
        // sends leaves through the one inside.
        bandwidth::shape(
            &mut self.shared().netlink,
            &endpoint.host_iface,
            bandwidth.ingress,
        )?;
        self.namespaces.enter(id, || {
            bandwidth::shape(&mut Netlink::open()?, &endpoint.iface, bandwidth.egress)
        })
    }

    /// Removes what an earlier engine left and no container of `live` (ids) uses: leases,
    /// namespaces and interfaces with our prefix on our bridge. Returns the ids of live containers
    /// whose attachment is whole.
    ///
    /// # Errors
    /// When the kernel can't be asked. What can't be removed is only logged: it must not keep the
    /// engine from starting.
    pub fn recover<S: AsRef<str>>(&self, live: &[S]) -> Result<Vec<String>, Error> {
        let is_live = |id: &str| live.iter().any(|other| other.as_ref() == id);
        let mut known = self.leases().containers();
        known.extend(self.namespaces.list()?);
        known.sort_unstable();
        known.dedup();
        let mut whole = Vec::new();
        for id in known {
            if is_live(&id) {
                if self.namespaces.exists(&id) {
                    whole.push(id);
                }
            } else if let Err(error) = self.detach(&id) {
                tracing::warn!(%id, %error, "an old attachment could not be removed");
            }
        }
        self.sweeper.wait()?;
        self.sweep_links()?;
        Ok(whole)
    }

    /// What the network is, and what will not work.
    #[must_use]
    pub fn info(&self) -> NetworkInfo {
        let shared = self.shared();
        NetworkInfo {
            name: "bridge".to_owned(),
            id: shared.identity.id.clone(),
            driver: "bridge".to_owned(),
            bridge: self.options.bridge.clone(),
            subnet: shared.identity.subnet,
            gateway: shared.identity.subnet.gateway(),
            mtu: self.options.mtu,
            created: shared.identity.created.clone(),
            warnings: shared.warnings.clone(),
        }
    }

    /// What belongs into a container's `/etc/resolv.conf` now.
    #[must_use]
    pub fn resolvers(&self) -> Resolvers {
        Resolvers::find(&self.options.name_servers)
    }

    /// Removes all attachments, the bridge and the firewall table: for an engine that runs
    /// natively and ends. The network's id and addresses are kept. Attaching afterwards fails.
    ///
    /// # Errors
    /// When the kernel refuses a step.
    pub fn close(&self) -> Result<(), Error> {
        self.recover::<&str>(&[])?;
        self.namespaces.close()?;
        let mut shared = self.shared();
        shared
            .netlink
            .apply(vec![messages::remove_link(&self.options.bridge)])?;
        if shared.bridge.is_ok() {
            firewall::remove(&self.options.nft, &self.options.bridge)?;
        }
        shared.closed = true;
        shared.bridge = Err(Unavailable("the network is closed".to_owned()));
        Ok(())
    }

    /// Reserves an address; also the bridge's index and the subnet.
    fn lease(&self, id: &str) -> Result<(Endpoint, u32, Subnet), Error> {
        let (bridge, subnet, network_id) = {
            let mut shared = self.shared();
            if shared.bridge.is_err() && !shared.closed {
                shared.set_up(&self.options, &self.owner);
            }
            let bridge = shared
                .bridge
                .clone()
                .map_err(|Unavailable(reason)| Error::Unavailable { reason })?;
            (bridge, shared.identity.subnet, shared.identity.id.clone())
        };
        let endpoint_id = random_id()?;
        let mut leases = self.leases();
        if let Some(lease) = leases.get(id) {
            return Err(Error::AlreadyAttached {
                id: id.to_owned(),
                ip: lease.ip,
            });
        }
        let ip = leases.free_address(subnet)?;
        let endpoint = Endpoint {
            netns: self.namespaces.path(id),
            ip,
            prefix_len: subnet.prefix_len(),
            gateway: subnet.gateway(),
            mac: bridge::mac(ip).map(|byte| format!("{byte:02x}")).join(":"),
            host_iface: veth(&endpoint_id),
            endpoint_id,
            network_id,
            iface: INSIDE.to_owned(),
        };
        leases.insert(id, endpoint.clone())?;
        Ok((endpoint, bridge, subnet))
    }

    /// Makes the pair of interfaces from the machine's side.
    fn connect(
        &self,
        endpoint: &Endpoint,
        bridge: u32,
        netns: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        let mac = bridge::mac(endpoint.ip);
        let mtu = self.options.mtu;
        let add =
            |bridge| messages::add_veth(&endpoint.host_iface, bridge, INSIDE, netns, mac, mtu);
        let mut shared = self.shared();
        let Err(first) = shared.netlink.apply(vec![add(bridge)]) else {
            return Ok(());
        };
        // Somebody may have taken the bridge away (a network manager, an `ip link delete`), or
        // left an interface of this name: put that right and try once more.
        tracing::warn!(error = %first, "connecting a container failed, trying once more");
        shared
            .netlink
            .apply(vec![messages::remove_link(&endpoint.host_iface)])?;
        let subnet = shared.identity.subnet;
        let bridge = bridge::ensure(
            &mut shared.netlink,
            &self.options.bridge,
            &self.owner,
            subnet,
            mtu,
        )?;
        shared.bridge = Ok(bridge);
        shared.netlink.apply(vec![add(bridge)])
    }

    /// Removes ports of our bridge with our prefix that belong to no lease.
    fn sweep_links(&self) -> Result<(), Error> {
        let mut shared = self.shared();
        let Ok(bridge) = shared.bridge else {
            return Ok(());
        };
        let kept = self.leases().interfaces();
        let changes = bridge::links(&mut shared.netlink)?
            .into_iter()
            .filter(|(name, link)| {
                link.is_veth
                    && link.bridge == Some(bridge)
                    && name.starts_with(VETH_PREFIX)
                    && !kept.contains(name)
            })
            .map(|(name, _)| messages::remove_link(&name))
            .collect();
        shared.netlink.apply(changes)
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guarded part is changed last in every call, so a panicked holder left it consistent.
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Makes bridge and firewall; a failure is kept as the reason why attaching can't work.
    fn set_up(&mut self, options: &Options, owner: &str) {
        self.warnings.clear();
        let subnet = self.identity.subnet;
        let made = bridge::ensure(
            &mut self.netlink,
            &options.bridge,
            owner,
            subnet,
            options.mtu,
        )
        .and_then(|index| firewall::install(&options.nft, &options.bridge, subnet).map(|()| index));
        self.bridge = made.map_err(|error| {
            let reason = chain(&error);
            tracing::error!(%reason, "containers have no network");
            self.warnings
                .push(format!("Containers have no network: {reason}"));
            Unavailable(reason)
        });
        if self.bridge.is_err() {
            return;
        }
        match firewall::foreign_drops(&options.nft) {
            Ok(drops) => self.warnings.extend(drops.into_iter().map(|chain| {
                format!(
                    "Containers may have no way out: the firewall chain \"{chain}\" of this machine drops forwarded packets. Allow packets from and to the interface {} there.",
                    options.bridge
                )
            })),
            // The machine's other tables may hold what `nft` can't print as JSON.
            Err(error) => tracing::debug!(%error, "the machine's other firewall rules are unknown"),
        }
    }
}

/// The loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;

/// Settings of a fresh namespace, before it has interfaces: no IPv6 addresses of its own on
/// `eth0`, and Docker's permission for low ports and pings without capabilities. The names under
/// `/proc/sys/net` are those of the calling thread's namespace.
pub(crate) fn prepare_settings() -> Result<(), Error> {
    for (name, value) in [
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv4/ip_unprivileged_port_start", "0"),
        ("ipv4/ping_group_range", "0 2147483647"),
    ] {
        let path = Path::new("/proc/sys/net").join(name);
        switch(&path, value)?;
    }
    Ok(())
}

/// Addresses and routes, from inside the namespace.
fn configure_inside(ip: Ipv4Addr, subnet: Subnet) -> Result<(), Error> {
    let index = rustix::net::netdevice::name_to_index(
        rustix::net::socket(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::DGRAM,
            None,
        )
        .map_err(|error| Error::Netlink(error.into()))?,
        INSIDE,
    )
    .map_err(|error| Error::Refused {
        step: format!("show the interface {INSIDE} that it just made"),
        source: error.into(),
    })?;
    Netlink::open()?.apply(vec![
        messages::bring_up(LOOPBACK, "lo"),
        messages::bring_up(index, INSIDE),
        messages::add_address(index, INSIDE, ip, subnet),
        messages::add_default_route(subnet.gateway()),
    ])
}

/// The identity to use: the recorded one unless its addresses were claimed by the machine
/// meanwhile (a VPN, a new network) while no container used them.
fn settle_identity(
    netlink: &mut Netlink,
    state_dir: &Path,
    options: &Options,
    unused: bool,
) -> Result<Identity, Error> {
    let own = bridge::links(netlink)?
        .get(&options.bridge)
        .map(|link| link.index);
    let recorded = Identity::read(state_dir)?;
    if let Some(recorded) = &recorded {
        let usable = match options.subnet {
            Some(wanted) => wanted == recorded.subnet,
            None => !unused || !routes::is_taken(netlink, recorded.subnet, own)?,
        };
        if usable {
            return Ok(recorded.clone());
        }
    }
    let subnet = routes::choose_subnet(netlink, options.subnet, own)?;
    let identity = match recorded {
        Some(recorded) => Identity { subnet, ..recorded },
        None => Identity::new(subnet)?,
    };
    identity.write(state_dir)?;
    Ok(identity)
}

/// The mark on the bridge of the engine with this run directory; the kernel keeps 255 bytes.
fn owner(run_dir: &Path) -> String {
    let path = run_dir.to_string_lossy();
    let cut = path.char_indices().rev().take(200).last();
    format!("slipway {}", cut.map_or("", |(start, _)| &path[start..]))
}

/// Container ids are file names and parts of interface names here.
fn checked(id: &str) -> Result<&str, Error> {
    if id.len() >= 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(id)
    } else {
        Err(Error::InvalidId { id: id.to_owned() })
    }
}

/// Name of an endpoint's interface on the machine: as much of its id as the kernel's 15 bytes
/// leave room for. A new attachment has a new name, so it never meets one that is being removed.
fn veth(endpoint_id: &str) -> String {
    format!(
        "{VETH_PREFIX}{}",
        endpoint_id.get(..12).unwrap_or(endpoint_id)
    )
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
