//! Ports of the person's own computer, which the program at the other end of the link opens for
//! containers in the machine. What it is told survives neither it nor us, so all is said again to
//! each one that connects.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use network::{Fitness, Protocol};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::Engine;
use crate::containers::{Container, HealthStatus, Record, State};

/// How long a start waits for the computer's answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where each wanted port is open, or why none is.
pub type PortAnswer = Result<Vec<Vec<SocketAddr>>, String>;

/// What is to be done about ports.
#[derive(Debug, Clone, PartialEq)]
pub enum PortOrder {
    /// Have exactly these ports of a container open; [`Engine::answer_ports`] takes the answer.
    Publish {
        /// Names the answer.
        seq: u64,
        /// What is wanted.
        publication: Publication,
    },
    /// A container has ended.
    Withdraw {
        /// Its id.
        container: String,
    },
    /// A container's condition has changed.
    Condition {
        /// Its id.
        container: String,
        /// The new one.
        condition: Condition,
    },
    /// All that was there before is said.
    Settled,
}

/// All published ports of a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The container's id.
    pub container: String,
    /// Its name.
    pub name: String,
    /// How fit it is.
    pub condition: Condition,
    /// The ports.
    pub ports: Vec<WantedPort>,
}

/// A port to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedPort {
    /// The protocol.
    pub protocol: Protocol,
    /// The computer's addresses.
    pub hosts: Vec<IpAddr>,
    /// The computer's ports to choose from; any when nothing is said.
    pub range: Option<(u16, u16)>,
    /// The container's address.
    pub target: SocketAddr,
    /// Containers of the same group may share a port.
    pub group: Option<String>,
}

/// How fit a container is for new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It runs, and is healthy if it is checked.
    Ready,
    /// Not now.
    Unready,
    /// It is being stopped.
    Stopping,
}

/// Whom to tell.
#[derive(Debug, Default)]
pub(crate) struct HostPorts {
    inner: Mutex<Inner>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    session: u64,
    orders: Option<mpsc::UnboundedSender<PortOrder>>,
    waiting: HashMap<u64, oneshot::Sender<PortAnswer>>,
    next: u64,
}

impl HostPorts {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it if anybody is there; who comes later is told all anyway.
    pub(super) fn tell(&self, order: PortOrder) {
        if let Some(orders) = &self.lock().orders {
            // It may be leaving.
            let _ = orders.send(order);
        }
    }

    /// Has ports opened; `None` when nobody has answered in time.
    pub(super) async fn ask(&self, publication: Publication) -> Option<PortAnswer> {
        let asking = async {
            loop {
                let came = self.came.notified();
                let answer = self.lock().ask(publication.clone());
                match answer {
                    // The other end may leave before it has answered; the next one is asked anew.
                    Some(answer) => {
                        if let Ok(answer) = answer.await {
                            return answer;
                        }
                    }
                    None => came.await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.ok()
    }
}

impl Inner {
    fn ask(&mut self, publication: Publication) -> Option<oneshot::Receiver<PortAnswer>> {
        let orders = self.orders.clone()?;
        let (answer, answered) = oneshot::channel();
        let seq = self.next;
        self.next += 1;
        self.waiting.insert(seq, answer);
        orders.send(PortOrder::Publish { seq, publication }).ok()?;
        Some(answered)
    }
}

/// The orders for one who is connected; all that is published comes first.
#[derive(Debug)]
pub struct PortOrders {
    engine: Arc<Engine>,
    session: u64,
    orders: mpsc::UnboundedReceiver<PortOrder>,
}

impl PortOrders {
    /// The next order; `None` when somebody else has connected.
    pub async fn next(&mut self) -> Option<PortOrder> {
        self.orders.recv().await
    }
}

impl Drop for PortOrders {
    fn drop(&mut self) {
        let mut inner = self.engine.host_ports.lock();
        if inner.session == self.session {
            inner.orders = None;
            // Who waits for an answer asks the next one.
            inner.waiting.clear();
        }
    }
}

impl Engine {
    /// Takes over the orders about ports.
    pub fn port_orders(self: &Arc<Self>) -> PortOrders {
        let (sender, orders) = mpsc::unbounded_channel();
        let session = {
            let mut inner = self.host_ports.lock();
            inner.session += 1;
            inner.waiting.clear();
            inner.orders = Some(sender);
            inner.session
        };
        for container in self.all_containers() {
            self.publish_again(&container);
        }
        self.host_ports.tell(PortOrder::Settled);
        self.host_ports.came.notify_waiters();
        PortOrders {
            engine: Arc::clone(self),
            session,
            orders,
        }
    }

    /// Says what a container has published: to somebody new, or because it leads elsewhere now. No start
    /// waits for the answer, so the container shows when it is a refusal.
    pub(super) fn publish_again(self: &Arc<Self>, container: &Arc<Container>) {
        let Some(publication) = republication(container) else {
            return;
        };
        let Some(answer) = self.host_ports.lock().ask(publication) else {
            return;
        };
        let (engine, container) = (Arc::clone(self), Arc::clone(container));
        tokio::spawn(async move {
            // Without an answer the next one is asked.
            if let Ok(answer) = answer.await {
                engine.take_answer(&container, answer.err()).await;
            }
        });
    }

    async fn take_answer(&self, container: &Arc<Container>, refusal: Option<String>) {
        {
            let mut inner = container.lock();
            let record = &mut *inner.record;
            let (open, refused) = (&mut record.ports, &mut record.refused_ports);
            let (from, to) = match refusal {
                Some(_) => (open, refused),
                None => (refused, open),
            };
            if from.is_empty() {
                return;
            }
            to.append(from);
        }
        match refusal {
            Some(reason) => {
                tracing::warn!(container = container.id, reason, "its ports are not open");
                self.container_event(container, "ports_refused", &[("reason", reason)]);
            }
            None => self.container_event(container, "ports_opened", &[]),
        }
        container.save_or_log().await;
    }

    /// Takes the answer to [`PortOrder::Publish`].
    pub fn answer_ports(&self, seq: u64, answer: PortAnswer) {
        if let Some(waiting) = self.host_ports.lock().waiting.remove(&seq) {
            // A start that was given up does not wait any more.
            let _ = waiting.send(answer);
        }
    }

    /// A container's condition may have changed.
    pub(crate) fn tell_condition(self: &Arc<Self>, container: &Arc<Container>) {
        let condition = condition(&container.lock().record);
        self.say_condition(container, condition);
    }

    /// A container is going to be stopped.
    pub(crate) fn tell_stopping(self: &Arc<Self>, container: &Arc<Container>) {
        self.say_condition(container, Condition::Stopping);
    }

    fn say_condition(self: &Arc<Self>, container: &Arc<Container>, condition: Condition) {
        if container.lock().record.ports.is_empty() {
            return;
        }
        let id = container.id.clone();
        self.host_ports.tell(PortOrder::Condition {
            container: id.clone(),
            condition,
        });
        let Some(network) = self.network.get().cloned() else {
            return;
        };
        // What the kernel leads goes the same way.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = network.set_fitness(&id, condition.into()) {
                tracing::warn!(container = id, %error, "its replicas' turns stay as they were");
            }
        });
    }
}

impl From<Condition> for Fitness {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Ready => Self::Ready,
            Condition::Unready => Self::Unready,
            Condition::Stopping => Self::Stopping,
        }
    }
}

/// How fit a container is that is not being stopped.
pub(super) fn condition(record: &Record) -> Condition {
    let healthy = if record.is_checked() {
        let health = record.health.as_ref();
        health.is_some_and(|health| health.status == HealthStatus::Healthy)
    } else {
        true
    };
    if healthy && !matches!(record.state, State::Paused { .. }) {
        Condition::Ready
    } else {
        Condition::Unready
    }
}

/// What a container that runs has published.
fn republication(container: &Container) -> Option<Publication> {
    let record = container.lock().record.clone();
    record.state.pid()?;
    let endpoint = super::way_in(&record)?;
    let published = [&record.ports, &record.refused_ports];
    let ports: Vec<WantedPort> = published
        .into_iter()
        .flat_map(|ports| super::claims_of(ports, endpoint))
        .filter(|claim| !claim.is_routed())
        .map(|claim| WantedPort {
            protocol: claim.protocol,
            hosts: vec![claim.host.ip()],
            range: Some((claim.host.port(), claim.host.port())),
            target: claim.target,
            group: super::want::group_of(&record, claim.protocol, claim.target.port()),
        })
        .collect();
    (!ports.is_empty()).then(|| Publication {
        container: record.id.clone(),
        name: record.name.clone(),
        condition: condition(&record),
        ports,
    })
}
