//! Which ports are open, and for which containers.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use client::wire::PublishedPort;
use link::control::{Condition, Port, Publication};
use link::ports::Protocol;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::balance::Pool;
use super::bind::{self, Listening};
use super::carry::{self, Links};
use super::datagrams;

/// How often another free port is looked for when the first is not free on all addresses.
const ATTEMPTS: usize = 50;

/// What is open, by protocol and address.
type Place = (Protocol, SocketAddr);

/// All that is open.
#[derive(Debug)]
pub(super) struct Table {
    links: Links,
    listeners: BTreeMap<Place, Listener>,
    containers: HashMap<String, Container>,
    /// Containers whose ports can't be opened: their names, and why.
    refused: BTreeMap<String, (String, String)>,
    /// Tasks whose sockets are about to be closed.
    closing: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Listener {
    /// Containers that name the same may share it.
    group: Option<String>,
    pool: Arc<Pool>,
    end: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Container {
    name: String,
    places: Vec<Place>,
    /// Named by the engine of this session.
    named: bool,
}

/// A place that a publication is going to have.
struct Step {
    place: Place,
    how: How,
}

enum How {
    /// It has it already.
    Keep,
    /// With replicas of the same service.
    Join,
    /// Newly opened.
    Listen(Listening),
}

impl Table {
    pub(super) fn new(links: Links) -> Self {
        Self {
            links,
            listeners: BTreeMap::new(),
            containers: HashMap::new(),
            refused: BTreeMap::new(),
            closing: Vec::new(),
        }
    }

    /// What must be waited for before the same ports can be opened again.
    pub(super) fn take_closing(&mut self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.closing)
    }

    pub(super) fn begin(&mut self) {
        // Who still can't have them is refused again.
        self.refused.clear();
        for container in self.containers.values_mut() {
            container.named = false;
        }
    }

    pub(super) fn settle(&mut self) {
        let unnamed = self.containers.iter().filter(|(_, one)| !one.named);
        let unnamed: Vec<String> = unnamed.map(|(id, _)| id.clone()).collect();
        for container in unnamed {
            self.withdraw(&container);
        }
    }

    pub(super) fn clear(&mut self) {
        self.refused.clear();
        self.containers.clear();
        for (_, listener) in std::mem::take(&mut self.listeners) {
            self.close(listener);
        }
    }

    pub(super) fn set_condition(&mut self, container: &str, condition: Condition) {
        for listener in self.listeners.values() {
            listener.pool.set_condition(container, condition);
        }
    }

    pub(super) fn withdraw(&mut self, container: &str) {
        self.refused.remove(container);
        if let Some(gone) = self.containers.remove(container) {
            for place in gone.places {
                self.leave(container, place);
            }
        }
    }

    fn leave(&mut self, container: &str, place: Place) {
        if let Some(listener) = self.listeners.get(&place) {
            listener.pool.remove(container);
            if listener.pool.len() == 0
                && let Some(listener) = self.listeners.remove(&place)
            {
                self.close(listener);
            }
        }
    }

    fn close(&mut self, listener: Listener) {
        listener.end.cancel();
        self.closing.retain(|task| !task.is_finished());
        self.closing.push(listener.task);
    }

    pub(super) fn list(&self) -> Vec<PublishedPort> {
        let name = |id: &String| {
            let known = self.containers.get(id);
            known.map_or_else(|| id.clone(), |known| known.name.clone())
        };
        let all = self.listeners.iter();
        all.map(|((protocol, host), listener)| PublishedPort {
            protocol: protocol.name().to_owned(),
            address: host.to_string(),
            containers: listener.pool.containers().iter().map(name).collect(),
        })
        .collect()
    }

    /// Whose ports are not open, in words.
    pub(super) fn refusals(&self) -> Vec<String> {
        let all = self.refused.values();
        all.map(|(name, reason)| {
            format!(
                "The published ports of {name} are not open: {reason}. When that is settled: docker restart {name}"
            )
        })
        .collect()
    }

    pub(super) fn publish(
        &mut self,
        publication: &Publication,
    ) -> Result<Vec<Vec<SocketAddr>>, String> {
        let opened = self.open(publication);
        let id = &publication.container;
        match &opened {
            Ok(_) => self.refused.remove(id),
            Err(reason) => {
                let why = (publication.name.clone(), reason.clone());
                self.refused.insert(id.clone(), why)
            }
        };
        opened
    }

    fn open(&mut self, publication: &Publication) -> Result<Vec<Vec<SocketAddr>>, String> {
        // Sockets that were opened before one that can't be are closed by being dropped.
        let mut steps: Vec<Step> = Vec::new();
        let mut ports = Vec::with_capacity(publication.ports.len());
        for port in &publication.ports {
            let found = self.find(publication, port, &steps)?;
            ports.push(found.len());
            steps.extend(found);
        }
        let places: Vec<Place> = steps.iter().map(|step| step.place).collect();
        let mut open = Vec::with_capacity(ports.len());
        let mut steps = steps.into_iter();
        for (port, count) in publication.ports.iter().zip(ports) {
            let mut hosts = Vec::with_capacity(count);
            for step in steps.by_ref().take(count) {
                hosts.push(step.place.1);
                self.take(publication, port, step);
            }
            open.push(hosts);
        }
        let new = Container {
            name: publication.name.clone(),
            places,
            named: true,
        };
        let old = self.containers.insert(publication.container.clone(), new);
        for place in old.into_iter().flat_map(|old| old.places) {
            let kept = &self.containers[&publication.container].places;
            if !kept.contains(&place) {
                self.leave(&publication.container, place);
            }
        }
        Ok(open)
    }

    fn take(&mut self, publication: &Publication, port: &Port, step: Step) {
        if let How::Listen(listening) = step.how {
            let pool = Arc::new(Pool::default());
            let end = CancellationToken::new();
            let (ended, links, behind) = (end.clone(), self.links.clone(), pool.clone());
            let task = match listening {
                Listening::Tcp(listener) => tokio::spawn(async move {
                    tokio::select! {
                        () = carry::accept(listener, behind, links) => {}
                        () = ended.cancelled() => {}
                    }
                }),
                Listening::Udp(socket) => {
                    tokio::spawn(datagrams::serve(socket, behind, links, ended))
                }
            };
            let listener = Listener {
                group: port.group.clone(),
                pool,
                end,
                task,
            };
            self.listeners.insert(step.place, listener);
        }
        if let Some(listener) = self.listeners.get(&step.place) {
            let (container, condition) = (&publication.container, publication.condition);
            listener.pool.add(container, port.target, condition);
        }
    }

    /// Finds a number that is to be had on all addresses of a port.
    fn find(
        &self,
        publication: &Publication,
        port: &Port,
        before: &[Step],
    ) -> Result<Vec<Step>, String> {
        let mut last = "no address to publish on is named".to_owned();
        let numbers: Box<dyn Iterator<Item = u16>> = match port.range {
            Some((first, last)) => Box::new(first..=last),
            None => Box::new(std::iter::repeat_n(0, ATTEMPTS)),
        };
        for number in numbers {
            match self.on_all(publication, port, number, before) {
                Ok(steps) => return Ok(steps),
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }

    fn on_all(
        &self,
        publication: &Publication,
        port: &Port,
        mut number: u16,
        before: &[Step],
    ) -> Result<Vec<Step>, String> {
        let mut steps: Vec<Step> = Vec::new();
        for host in &port.hosts {
            let address = SocketAddr::new(*host, number);
            let place = (port.protocol, address);
            if before.iter().any(|step| meet(step.place, place)) {
                return Err(allocated(address, None));
            }
            let mine = self.containers.get(&publication.container);
            if mine.is_some_and(|mine| mine.places.contains(&place)) {
                steps.push(Step {
                    place,
                    how: How::Keep,
                });
                continue;
            }
            let other = self
                .listeners
                .iter()
                .find(|(other, _)| meet(**other, place));
            if let Some((other, listener)) = other {
                let shared =
                    *other == place && port.group.is_some() && listener.group == port.group;
                if !shared {
                    return Err(allocated(address, self.owner(listener)));
                }
                steps.push(Step {
                    place,
                    how: How::Join,
                });
                continue;
            }
            let opened = bind::bind(port.protocol, address)
                .and_then(|listening| Ok((listening.address()?, listening)));
            match opened {
                Ok((address, listening)) => {
                    // The same on all addresses.
                    number = address.port();
                    steps.push(Step {
                        place: (port.protocol, address),
                        how: How::Listen(listening),
                    });
                }
                Err(error) if bind::is_unknown_kind(address, &error) && port.hosts.len() > 1 => {}
                Err(error) => return Err(bind::describe(port.protocol, address, &error)),
            }
        }
        Ok(steps)
    }

    /// `name (id)` of one of the containers behind a listener.
    fn owner(&self, listener: &Listener) -> Option<String> {
        let id = listener.pool.containers().into_iter().next()?;
        let name = self.containers.get(&id)?.name.clone();
        let short = id.get(..12).unwrap_or(&id);
        Some(format!("{name} ({short})"))
    }
}

/// Whether two places are one: the same port on addresses that overlap.
fn meet(a: Place, b: Place) -> bool {
    let (ip, other) = (a.1.ip(), b.1.ip());
    a.0 == b.0
        && a.1.port() == b.1.port()
        && a.1.port() != 0
        && ip.is_ipv4() == other.is_ipv4()
        && (ip == other || ip.is_unspecified() || other.is_unspecified())
}

/// Docker's words for a port that another container has.
fn allocated(address: SocketAddr, owner: Option<String>) -> String {
    let mut text = format!("Bind for {address} failed: port is already allocated");
    if let Some(owner) = owner {
        // Writing to a string cannot fail.
        let _ = write!(text, ": container {owner} has published it");
    }
    text
}
