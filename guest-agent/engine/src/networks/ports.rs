//! Published ports: which of the host's ports lead to which container. Natively the kernel leads
//! packets; a socket of ours holds each port, so that nobody else takes it, and answers where the
//! kernel can't: on IPv6 for containers that have none, and on the IPv6 loopback address. In the
//! machine the person's computer is asked to open them, and the kernel leads only those of our
//! neighbours who ask the machine.

mod holder;
mod host;
mod proxy;
mod want;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use network::{Fitness, Protocol, Published, Spec};
use serde::{Deserialize, Serialize};

pub use host::{Condition, PortAnswer, PortOrder, PortOrders, Publication, WantedPort};

pub(crate) use holder::PortTable;
pub(crate) use host::HostPorts;
pub(crate) use want::check;
pub use want::port_key;

use self::holder::{Claim, Held};
use self::want::Want;
use crate::containers::{Container, Record};
use crate::engine::Machine;
use crate::{Engine, Error, blocking};

/// A port of the host that leads to a container's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Bound {
    /// The host's address.
    pub host_ip: String,
    /// The host's port; empty where the container's own address is the way in.
    pub host_port: String,
}

/// The endpoint that published ports lead to: the one with the default route.
fn way_in(record: &Record) -> Option<&network::Endpoint> {
    record
        .networks
        .values()
        .filter_map(|attachment| attachment.endpoint.as_ref())
        .filter(|endpoint| endpoint.leads_out && !endpoint.host_iface.is_empty())
        .min_by_key(|endpoint| (-endpoint.priority, endpoint.network_name.clone()))
}

/// Whether ports of a container can be reached: it is on a network that leads out.
#[must_use]
pub fn has_way_in(record: &Record) -> bool {
    way_in(record).is_some()
}

/// The same endpoint's id.
pub(super) fn way_in_id(container: &Container) -> Option<String> {
    way_in(&container.lock().record).map(|endpoint| endpoint.endpoint_id.clone())
}

impl Engine {
    /// Publishes what a running container asks for, where the way in is now. Ports that nobody named
    /// stay what they were.
    pub(super) async fn publish_ports(
        self: &Arc<Self>,
        container: &Arc<Container>,
    ) -> Result<(), Error> {
        let record = container.lock().record.clone();
        let endpoint = way_in(&record);
        let prefix = format!(
            "driver failed programming external connectivity on endpoint {} ({}): ",
            record.name,
            endpoint.map_or("", |endpoint| &endpoint.endpoint_id)
        );
        let mut wants = match endpoint {
            Some(_) => want::all(&record).map_err(|e| e.prefixed(&prefix))?,
            None => Vec::new(),
        };
        want::keep(&mut wants, &record.ports);
        let Some(endpoint) = endpoint.filter(|_| !wants.is_empty()) else {
            self.withdraw_ports(container).await;
            return Ok(());
        };
        let spec = self.spec_of(&endpoint.network_id)?;
        let opened = match self.options.machine {
            Machine::Native => {
                self.ports.release(&container.id);
                let claim = |want| self.claim_ports(&record, endpoint, want, &spec);
                wants.iter().map(claim).collect()
            }
            Machine::Vm => self.ask_for_ports(&record, endpoint, &wants, &spec).await,
        };
        let claims = opened.map_err(|error: Error| {
            self.release_ports(&container.id);
            error.prefixed(&prefix)
        })?;
        let mut bound: BTreeMap<String, Vec<Bound>> = BTreeMap::new();
        let mut published = Vec::new();
        let fitness = host::condition(&record).into();
        for (want, claims) in wants.iter().zip(claims) {
            let routed = want.routed(&spec);
            let routed =
                routed.filter_map(|kind| claim(want.protocol, kind, 0, endpoint, want.port));
            for claim in claims.into_iter().chain(routed) {
                bound.entry(want.key()).or_default().push(claim.bound());
                published.extend(self.led_by_kernel(&claim, endpoint, fitness));
            }
        }
        if let Err(error) = self.install_ports(&container.id, published).await {
            self.release_ports(&container.id);
            return Err(error.prefixed(&prefix));
        }
        let mut inner = container.lock();
        inner.record.ports = bound;
        inner.record.refused_ports.clear();
        Ok(())
    }

    /// Gives the host's ports back.
    fn release_ports(&self, container: &str) {
        match self.options.machine {
            Machine::Native => self.ports.release(container),
            Machine::Vm => self.host_ports.tell(PortOrder::Withdraw {
                container: container.to_owned(),
            }),
        }
    }

    /// What the kernel can do of a claim. In the machine only what stands for all addresses: others
    /// are the person's computer's.
    fn led_by_kernel(
        &self,
        claim: &Claim,
        endpoint: &network::Endpoint,
        fitness: Fitness,
    ) -> Option<Published> {
        let ours = self.options.machine == Machine::Native || claim.host.ip().is_unspecified();
        let published = claim.published(&endpoint.network_id, fitness);
        published.filter(|_| ours)
    }

    /// Has the person's computer open ports for all wishes.
    async fn ask_for_ports(
        &self,
        record: &Record,
        endpoint: &network::Endpoint,
        wants: &[Want],
        spec: &Spec,
    ) -> Result<Vec<Vec<Claim>>, Error> {
        let mut ports = Vec::with_capacity(wants.len());
        for want in wants {
            if want.protocol == Protocol::Sctp {
                return Err(Error::NotSupported(
                    "SCTP ports can't be published: only TCP and UDP reach your computer".into(),
                ));
            }
            let target = endpoint.ipv4.or(endpoint.ipv6).ok_or_else(|| {
                Error::System("the container has no address to lead a port to".into())
            })?;
            ports.push(WantedPort {
                protocol: want.protocol,
                hosts: want.addresses(spec, true),
                range: want.range(),
                target: SocketAddr::new(target.ip, want.port),
                group: want::replica_of(record, want),
            });
        }
        let publication = Publication {
            container: record.id.clone(),
            name: record.name.clone(),
            condition: host::condition(record),
            ports,
        };
        let open = match self.host_ports.ask(publication.clone()).await {
            Some(answer) => answer.map_err(Error::System)?,
            None => {
                let container = &record.id;
                tracing::warn!(
                    container,
                    "nobody answers for its ports; told when somebody does"
                );
                let first = |want: &Want| want.candidates().next().unwrap_or_default();
                let sockets = |(port, want): (&WantedPort, &Want)| {
                    let number = first(want);
                    let hosts = port.hosts.iter();
                    hosts.map(|host| SocketAddr::new(*host, number)).collect()
                };
                publication.ports.iter().zip(wants).map(sockets).collect()
            }
        };
        let claims = publication.ports.iter().zip(open).map(|(port, open)| {
            let claim = |host| Claim {
                protocol: port.protocol,
                host,
                target: port.target,
            };
            open.into_iter().map(claim).collect()
        });
        Ok(claims.collect())
    }

    async fn install_ports(
        self: &Arc<Self>,
        container: &str,
        published: Vec<Published>,
    ) -> Result<(), Error> {
        let network = self.network().await?;
        let id = container.to_owned();
        blocking::run(move || Ok(network.publish(&id, published)?)).await
    }

    fn spec_of(&self, network: &str) -> Result<Spec, Error> {
        let networks = self.networks.lock();
        let spec = networks.get(network).and_then(|record| record.spec.clone());
        spec.ok_or_else(|| Error::NotFound(format!("network {network} not found")))
    }

    /// Takes ports for one wish: the same on all addresses.
    fn claim_ports(
        &self,
        record: &Record,
        endpoint: &network::Endpoint,
        want: &Want,
        spec: &Spec,
    ) -> Result<Vec<Claim>, Error> {
        let addresses = want.addresses(spec, want::has_ipv6());
        let claims = |port: u16| -> Vec<Claim> {
            addresses
                .iter()
                .filter_map(|host| claim(want.protocol, *host, port, endpoint, want.port))
                .collect()
        };
        let group = want::replica_of(record, want);
        let mut last = None;
        for port in want.candidates() {
            match self
                .ports
                .take(&record.id, &record.name, group.as_deref(), claims(port))
            {
                Ok(taken) => return Ok(taken),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::System("no port is left to publish on".into())))
    }

    /// Takes a container's ports back at its end.
    pub(super) async fn withdraw_ports(self: &Arc<Self>, container: &Arc<Container>) {
        if !container.lock().record.forget_ports() {
            return;
        }
        self.release_ports(&container.id);
        if let Err(error) = self.install_ports(&container.id, Vec::new()).await {
            tracing::warn!(container = container.id, %error, "its ports stay published");
        }
    }

    /// Publishes a running container's ports anew, if its networks have changed and the way in is not
    /// what it was.
    pub(super) async fn move_ports(
        self: &Arc<Self>,
        container: &Arc<Container>,
        before: Option<&str>,
    ) {
        if way_in_id(container).as_deref() == before {
            return;
        }
        if let Err(error) = self.publish_ports(container).await {
            tracing::warn!(container = container.id, %error, "its ports lead nowhere");
            self.withdraw_ports(container).await;
            let reason = ("reason", error.to_string());
            self.container_event(container, "ports_refused", &[reason]);
        }
    }

    /// What an earlier engine has published for a container that runs.
    pub(crate) fn published_before(&self, record: &Record) -> Vec<Published> {
        let Some(endpoint) = way_in(record) else {
            return Vec::new();
        };
        let fitness = host::condition(record).into();
        claims_of(&record.ports, endpoint)
            .filter_map(|claim| self.led_by_kernel(&claim, endpoint, fitness))
            .collect()
    }

    /// Takes the ports of a container that runs again, after the engine's own restart.
    pub(super) async fn hold_ports(self: &Arc<Self>, container: &Arc<Container>) {
        let record = container.lock().record.clone();
        if self.options.machine == Machine::Native
            && let Some(endpoint) = way_in(&record)
        {
            self.hold_again(&record, endpoint);
        }
    }

    fn hold_again(&self, record: &Record, endpoint: &network::Endpoint) {
        let claims = claims_of(&record.ports, endpoint);
        for claim in claims.filter(|claim| !claim.is_routed()) {
            let group = want::group_of(record, claim.protocol, claim.target.port());
            let taken = self
                .ports
                .take(&record.id, &record.name, group.as_deref(), vec![claim]);
            if let Err(error) = taken {
                tracing::warn!(container = record.id, %error, "a published port is not held");
            }
        }
    }
}

/// A record's ports as claims.
fn claims_of<'a>(
    ports: &'a BTreeMap<String, Vec<Bound>>,
    endpoint: &'a network::Endpoint,
) -> impl Iterator<Item = Claim> + 'a {
    ports.iter().flat_map(move |(key, bound)| {
        let want::Key { port, protocol } = want::Key::read(key);
        bound.iter().filter_map(move |bound| {
            let host = bound.host_ip.parse().ok()?;
            let host_port = match bound.host_port.as_str() {
                "" => 0,
                text => text.parse().ok()?,
            };
            claim(protocol?, host, host_port, endpoint, port)
        })
    })
}

/// A container's port under an address of the host, or with port 0 under the container's own.
fn claim(
    protocol: Protocol,
    host: IpAddr,
    host_port: u16,
    endpoint: &network::Endpoint,
    port: u16,
) -> Option<Claim> {
    let same = match host {
        IpAddr::V4(_) => endpoint.ipv4,
        IpAddr::V6(_) => endpoint.ipv6,
    };
    // The host's IPv6 leads to a container without it as well; its own address it has to have.
    let target = same.or(endpoint.ipv4.filter(|_| host_port != 0))?;
    Some(Claim {
        protocol,
        host: SocketAddr::new(host, host_port),
        target: SocketAddr::new(target.ip, port),
    })
}

impl Claim {
    fn bound(&self) -> Bound {
        Bound {
            host_ip: self.host.ip().to_string(),
            host_port: match self.host.port() {
                0 => String::new(),
                port => port.to_string(),
            },
        }
    }

    /// Whether it is open under the container's own address alone.
    fn is_routed(&self) -> bool {
        self.host.port() == 0
    }

    /// What the kernel can do of it.
    fn published(&self, network: &str, fitness: Fitness) -> Option<Published> {
        (self.host.is_ipv4() == self.target.is_ipv4()).then(|| Published {
            network: network.to_owned(),
            protocol: self.protocol,
            host: self.host.ip(),
            host_port: self.host.port(),
            target: self.target,
            fitness,
        })
    }

    /// Whether a socket of ours must answer in the kernel's place.
    fn needs_proxy(&self) -> bool {
        self.host.is_ipv6()
    }
}

impl Held {
    /// Whether two places are one: the same port on addresses that overlap.
    fn meets(&self, claim: &Claim) -> bool {
        let (a, b) = (self.claim.host, claim.host);
        self.claim.protocol == claim.protocol
            && a.port() == b.port()
            && a.is_ipv4() == b.is_ipv4()
            && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
    }
}
