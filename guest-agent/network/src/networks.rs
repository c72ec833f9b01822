//! All networks of an engine: the public face of this crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bridge::{self};
use crate::leases::Leases;
use crate::namespace::Namespaces;
use crate::netlink::Netlink;
use crate::sweeper::Sweeper;
use crate::{
    Bandwidth, Endpoint, Error, Fitness, NameServers, Options, Published, Resolvers, Spec, Subnet,
    firewall, messages, names, routes, spec,
};

/// Prefix of our interfaces' names on the machine.
pub(crate) const VETH_PREFIX: &str = "sw-";

/// All networks. Cheap to share in an `Arc`; calls may come from any thread.
#[derive(Debug)]
pub struct Networks {
    pub(crate) options: Options,
    /// The mark on our interfaces.
    owner: String,
    pub(crate) namespaces: Namespaces,
    pub(crate) leases: Arc<Mutex<Leases>>,
    pub(crate) sweeper: Sweeper,
    pub(crate) names: names::Places,
    shared: Mutex<Shared>,
}

/// What calls change.
pub(crate) struct Shared {
    pub(crate) netlink: Netlink,
    pub(crate) specs: BTreeMap<String, Spec>,
    /// By container.
    published: BTreeMap<String, Vec<Published>>,
    /// What containers may send, bytes a second, by their interfaces on the machine.
    pub(crate) limited: BTreeMap<String, u64>,
    /// Why there is no firewall.
    firewall: Option<String>,
    /// [`Networks::close`] was called: nothing is set up again.
    closed: bool,
    warnings: Vec<String>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("specs", &self.specs)
            .finish_non_exhaustive()
    }
}

/// What an engine that starts finds of an earlier one.
#[derive(Debug, Default)]
pub struct Restore {
    /// The networks there are to be.
    pub specs: Vec<Spec>,
    /// Containers that run.
    pub live: Vec<String>,
    /// Their published ports.
    pub published: BTreeMap<String, Vec<Published>>,
    /// How fast they may be, where that is limited.
    pub limits: BTreeMap<String, Bandwidth>,
}

impl Networks {
    /// Opens the networks: namespaces and leases are under `run_dir` (gone with a reboot). Nothing
    /// on the machine is changed before [`Networks::restore`].
    ///
    /// # Errors
    /// When the directory can't be used or the kernel's configuration can't be read.
    pub fn open(run_dir: &Path, mut options: Options) -> Result<Self, Error> {
        let namespaces = Namespaces::open(run_dir.join("netns"))?;
        let leases = Leases::open(run_dir.join("leases"))?;
        let names = names::Places::open(run_dir.join("names"))?;
        let mut netlink = Netlink::open()?;
        let owner = owner(run_dir);
        options.bridge = bridge::choose_name(&mut netlink, &options.bridge, &owner)?;
        let leases = Arc::new(Mutex::new(leases));
        Ok(Self {
            options,
            owner,
            namespaces,
            sweeper: Sweeper::start(Arc::clone(&leases))?,
            leases,
            names,
            shared: Mutex::new(Shared {
                netlink,
                specs: BTreeMap::new(),
                published: BTreeMap::new(),
                limited: BTreeMap::new(),
                firewall: None,
                closed: false,
                warnings: Vec::new(),
            }),
        })
    }

    /// Name of the interface of the default network, which also names the firewall's table.
    #[must_use]
    pub fn default_interface(&self) -> &str {
        &self.options.bridge
    }

    /// Largest packet of networks that name none, in bytes.
    #[must_use]
    pub fn mtu(&self) -> u32 {
        self.options.mtu
    }

    /// What the machine's own routes lead to, our networks left out.
    ///
    /// # Errors
    /// When the kernel can't be asked.
    pub fn taken(&self) -> Result<Vec<Subnet>, Error> {
        let mut shared = self.shared();
        let own: Vec<u32> = bridge::links(&mut shared.netlink)?
            .values()
            .filter(|link| link.alias.as_deref() == Some(&self.owner))
            .map(|link| link.index)
            .collect();
        routes::taken(&mut shared.netlink, &own)
    }

    /// Whether no container has an address on a network.
    #[must_use]
    pub fn is_unused(&self, network: &str) -> bool {
        self.leases().is_unused(network)
    }

    /// Brings everything up as it was, and removes what no container that lives uses: leases,
    /// namespaces, interfaces of ours. Where the machine can't have a bridge or a firewall,
    /// [`Networks::warnings`] tells, and attaching tries again and says why not. Returns the live
    /// containers whose namespace is there.
    ///
    /// # Errors
    /// When the kernel can't be asked. What can't be removed is only logged: it must not keep the
    /// engine from starting.
    pub fn restore(&self, found: Restore) -> Result<Vec<String>, Error> {
        {
            let mut shared = self.shared();
            shared.warnings.clear();
            shared.published = found.published;
            for spec in found.specs {
                if let Err(error) = ensure(&mut shared.netlink, &spec, &self.owner) {
                    let reason = chain(&error);
                    tracing::error!(network = spec.id, %reason, "a network is not there");
                    let warning = format!("Containers have no network: {reason}");
                    if !shared.warnings.contains(&warning) {
                        shared.warnings.push(warning);
                    }
                }
                shared.specs.insert(spec.id.clone(), spec);
            }
            let _ = self.install(&mut shared);
            if shared.firewall.is_none() {
                let foreign = self.foreign_drops();
                shared.warnings.extend(foreign);
            }
        }
        let is_live = |id: &String| found.live.contains(id);
        let mut known: BTreeSet<String> = self.leases().containers().into_iter().collect();
        known.extend(self.namespaces.list()?);
        let mut whole = Vec::new();
        for id in known {
            if is_live(&id) {
                if self.namespaces.exists(&id) {
                    whole.push(id);
                }
            } else if let Err(error) = self.close_sandbox(&id) {
                tracing::warn!(%id, %error, "an old attachment could not be removed");
            }
        }
        self.sweeper.wait()?;
        self.sweep_links()?;
        self.restore_limits(&found.limits);
        Ok(whole)
    }

    /// What will not work on this machine, in words.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.shared().warnings.clone()
    }

    fn foreign_drops(&self) -> Vec<String> {
        match firewall::foreign_drops(&self.options.nft) {
            Ok(drops) => drops
                .into_iter()
                .map(|chain| {
                    format!(
                        "Containers may have no way out: the firewall chain \"{chain}\" of this machine drops forwarded packets. Allow packets from and to the interface {} there.",
                        self.options.bridge
                    )
                })
                .collect(),
            // The machine's other tables may hold what `nft` can't print as JSON.
            Err(error) => {
                tracing::debug!(%error, "the machine's other firewall rules are unknown");
                Vec::new()
            }
        }
    }

    /// Brings a network up.
    ///
    /// # Errors
    /// When the machine can't; nothing is left behind then.
    pub fn up(&self, spec: Spec) -> Result<(), Error> {
        let mut shared = self.shared();
        if shared.closed {
            return Err(closed());
        }
        let id = spec.id.clone();
        let interface = spec.interface.clone();
        let made = ensure(&mut shared.netlink, &spec, &self.owner).and_then(|()| {
            let bridge = spec.is_bridge();
            shared.specs.insert(id.clone(), spec);
            if bridge {
                self.install(&mut shared)
            } else {
                Ok(())
            }
        });
        if made.is_err() {
            shared.specs.remove(&id);
            self.remove_own(&mut shared, &interface);
        }
        made
    }

    /// Takes a network down that nobody is on; that there is none is fine.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn down(&self, id: &str) -> Result<(), Error> {
        let mut shared = self.shared();
        let Some(spec) = shared.specs.remove(id) else {
            return Ok(());
        };
        if spec.is_bridge() {
            self.install(&mut shared)?;
        }
        let shared_by_others = shared
            .specs
            .values()
            .any(|other| other.interface == spec.interface);
        if !shared_by_others {
            self.remove_own(&mut shared, &spec.interface);
        }
        Ok(())
    }

    /// Removes an interface in the background if it is ours.
    fn remove_own(&self, shared: &mut Shared, interface: &str) {
        let Ok(links) = bridge::links(&mut shared.netlink) else {
            return;
        };
        let ours = links
            .get(interface)
            .is_some_and(|link| link.alias.as_deref() == Some(&self.owner));
        if ours && let Err(error) = self.sweeper.remove(interface.to_owned()) {
            tracing::warn!(interface, %error, "an interface stays until the next start");
        }
    }

    /// Publishes these ports of a container, and no others.
    ///
    /// # Errors
    /// When the firewall refuses; what was published before stays.
    pub fn publish(&self, container: &str, ports: Vec<Published>) -> Result<(), Error> {
        let mut shared = self.shared();
        let before = if ports.is_empty() {
            shared.published.remove(container)
        } else {
            shared.published.insert(container.to_owned(), ports.clone())
        };
        if before.clone().unwrap_or_default() == ports {
            return Ok(());
        }
        let installed = self.install(&mut shared);
        if installed.is_err() {
            match before {
                Some(before) => shared.published.insert(container.to_owned(), before),
                None => shared.published.remove(container),
            };
        }
        installed
    }

    /// Notes how fit a container is. One that is being stopped stays so until it publishes anew.
    ///
    /// # Errors
    /// When the firewall refuses.
    pub fn set_fitness(&self, container: &str, fitness: Fitness) -> Result<(), Error> {
        let mut shared = self.shared();
        let Some(ports) = shared.published.get_mut(container) else {
            return Ok(());
        };
        let settled = |port: &Published| matches!(port.fitness, now if now == fitness || now == Fitness::Stopping);
        if ports.iter().all(settled) {
            return Ok(());
        }
        for port in ports.iter_mut() {
            port.fitness = fitness;
        }
        let places: Vec<_> = ports.iter().filter_map(Published::place).collect();
        let mut others = shared.published.iter().filter(|(id, _)| *id != container);
        let shares = |port: &Published| port.place().is_some_and(|place| places.contains(&place));
        // Alone it gets everything, however fit it is.
        if others.any(|(_, ports)| ports.iter().any(shares)) {
            self.install(&mut shared)?;
        }
        Ok(())
    }

    /// The endpoint of a container on a network.
    #[must_use]
    pub fn endpoint(&self, container: &str, network: &str) -> Option<Endpoint> {
        self.leases().get(container, network).cloned()
    }

    /// All endpoints of a container.
    #[must_use]
    pub fn endpoints(&self, container: &str) -> Vec<Endpoint> {
        self.leases().of(container)
    }

    /// What belongs into a container's `/etc/resolv.conf` now.
    #[must_use]
    pub fn resolvers(&self) -> Resolvers {
        Resolvers::find(&self.options.name_servers)
    }

    /// Whom the machine asks for names now.
    #[must_use]
    pub fn upstream(&self) -> Vec<std::net::IpAddr> {
        Resolvers::upstream(&self.options.name_servers)
    }

    /// Removes all attachments, our interfaces and the firewall table: for an engine that runs
    /// natively and ends. Attaching afterwards fails.
    ///
    /// # Errors
    /// When the kernel refuses a step.
    pub fn close(&self) -> Result<(), Error> {
        let mut known: BTreeSet<String> = self.leases().containers().into_iter().collect();
        known.extend(self.namespaces.list()?);
        for id in known {
            self.close_sandbox(&id)?;
        }
        self.sweeper.wait()?;
        self.namespaces.close()?;
        let mut shared = self.shared();
        shared.closed = true;
        shared.specs.clear();
        let ours: Vec<_> = bridge::links(&mut shared.netlink)?
            .into_iter()
            .filter(|(_, link)| link.alias.as_deref() == Some(&self.owner))
            .map(|(name, _)| messages::remove_link(&name))
            .collect();
        shared.netlink.apply(ours)?;
        if shared.firewall.is_none() {
            firewall::remove(&self.options.nft, &self.options.bridge)?;
        }
        firewall::limit(&self.options.nft, &self.options.bridge, &BTreeMap::new())
    }

    /// The network, with its interface there: put right where somebody has taken it away.
    pub(crate) fn ensure_up(&self, shared: &mut Shared, network: &str) -> Result<Spec, Error> {
        if shared.closed {
            return Err(closed());
        }
        let spec = shared
            .specs
            .get(network)
            .cloned()
            .ok_or_else(|| Error::NoSuchNetwork {
                id: network.to_owned(),
            })?;
        if let Some(reason) = &shared.firewall {
            tracing::debug!(reason, "trying the firewall again");
            self.install(shared)?;
        }
        Ok(spec)
    }

    /// Makes a network's interface anew.
    pub(crate) fn repair(&self, shared: &mut Shared, spec: &Spec) -> Result<u32, Error> {
        ensure(&mut shared.netlink, spec, &self.owner)?;
        bridge::index_of(&mut shared.netlink, &spec.interface)
    }

    /// Replaces the firewall by what there is now.
    fn install(&self, shared: &mut Shared) -> Result<(), Error> {
        let specs: Vec<&Spec> = shared.specs.values().collect();
        let published: Vec<&Published> = shared.published.values().flatten().collect();
        let own = matches!(self.options.name_servers, NameServers::Own(_));
        let names = own.then_some(names::MACHINE);
        let (nft, bridge) = (&self.options.nft, &self.options.bridge);
        let installed = firewall::install(nft, bridge, &specs, &published, names);
        shared.firewall = installed.as_ref().err().map(|error| {
            let reason = chain(error);
            tracing::error!(%reason, "containers have no firewall");
            reason
        });
        if let Some(reason) = shared.firewall.clone() {
            let warning = format!("Containers have no network: {reason}");
            if !shared.warnings.contains(&warning) {
                shared.warnings.push(warning);
            }
        }
        installed.map_err(|error| Error::Unavailable {
            reason: chain(&error),
        })
    }

    /// Removes interfaces of ours that belong to nothing: ports of our bridges without a lease, and
    /// bridges of networks that are gone.
    fn sweep_links(&self) -> Result<(), Error> {
        let mut shared = self.shared();
        let kept = self.leases().interfaces();
        let links = bridge::links(&mut shared.netlink)?;
        let is_ours = |link: &bridge::Link| link.alias.as_deref() == Some(&self.owner);
        let bridges: BTreeSet<u32> = links
            .values()
            .filter(|link| is_ours(link))
            .map(|link| link.index)
            .collect();
        let wanted: BTreeSet<&str> = shared
            .specs
            .values()
            .map(|spec| spec.interface.as_str())
            .collect();
        let changes = links
            .iter()
            .filter(|(name, link)| {
                let stray = link.is_veth
                    && link.bridge.is_some_and(|bridge| bridges.contains(&bridge))
                    && name.starts_with(VETH_PREFIX)
                    && !kept.contains(*name);
                stray || (is_ours(link) && !wanted.contains(name.as_str()))
            })
            .map(|(name, _)| messages::remove_link(name))
            .collect();
        shared.netlink.apply(changes)
    }

    pub(crate) fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guarded part is changed last in every call, so a panicked holder left it consistent.
    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes sure that a network's interface is there.
fn ensure(netlink: &mut Netlink, spec: &Spec, owner: &str) -> Result<(), Error> {
    let links = bridge::links(netlink)?;
    let found = links.get(&spec.interface);
    if spec.is_bridge() {
        if found.is_some_and(|link| link.alias.as_deref() != Some(owner)) {
            return Err(Error::Unavailable {
                reason: format!("the interface {} is not Slipway's", spec.interface),
            });
        }
        bridge::ensure(netlink, spec, owner)?;
        return Ok(());
    }
    if found.is_some() {
        return Ok(());
    }
    let made = if spec.shares_nothing() {
        messages::add_dummy(&spec.interface, spec.mtu)
    } else {
        let (parent, vlan) = spec::vlan(&spec.interface)?;
        let parent = links.get(parent).ok_or_else(|| Error::NoParent {
            name: parent.to_owned(),
        })?;
        messages::add_vlan(&spec.interface, parent.index, vlan)
    };
    netlink.apply(vec![made])?;
    let index = bridge::index_of(netlink, &spec.interface)?;
    netlink.apply(vec![
        messages::mark(index, &spec.interface, owner),
        messages::bring_up(index, &spec.interface),
    ])
}

fn closed() -> Error {
    Error::Unavailable {
        reason: "the network is closed".to_owned(),
    }
}

/// The mark on the interfaces of the engine with this run directory; the kernel keeps 255 bytes.
fn owner(run_dir: &Path) -> String {
    let path = run_dir.to_string_lossy();
    let cut = path.char_indices().rev().take(200).last();
    format!("slipway {}", cut.map_or("", |(start, _)| &path[start..]))
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
