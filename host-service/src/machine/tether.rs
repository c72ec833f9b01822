//! Keeps the link to a running guest: connects, makes a session, and a new one when it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use link::control::{self, FromGuest, FromHost};
use link::{Incoming, Opener, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::channel::Address;
use super::{Progress, Start};
use crate::names::Names;
use crate::ports::Ports;
use crate::problem::chain;

/// First and longest wait between two attempts to connect.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// How long an attempt may take, in waits before it: one over vsock gets no answer while the guest comes
/// up, and a later one gets it at once.
const TRY: u32 = 2;

/// How long one call on a channel may stay unanswered. A new connection also helps a virtio port
/// that QEMU holds back since its guest wrote while nobody was connected.
const ANSWER: Duration = Duration::from_secs(5);

/// What is wrong until there is an answer.
const SILENT: &str = "the guest does not answer on the link";

/// How often the host's clock is looked at, to notice that the host slept.
const LOOK: Duration = Duration::from_secs(4);

/// Its routes are looked at once in so many times: on some systems a program tells them.
const LOOKS: u32 = 8;

/// A jump of the clock that the guest is told of.
const JUMP: Duration = Duration::from_millis(500);

/// What is known of the channel to a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The guest just started: nobody has used it.
    New,
    /// An earlier slipwayd may have used it.
    Used,
}

/// The link to one guest. Ends with its owner.
#[derive(Debug)]
pub(crate) struct Tether {
    links: watch::Receiver<Option<Opener>>,
    orders: mpsc::Sender<FromHost>,
    trouble: Arc<Mutex<Option<String>>>,
    tasks: Vec<JoinHandle<()>>,
    published: Ports,
}

impl Tether {
    /// Begins to connect; the link is made known through `start`. `ports` is where the link for
    /// published ports is found, if there is one.
    pub(crate) fn new(
        address: Address,
        ports: Option<Address>,
        channel: Channel,
        start: Start,
    ) -> Self {
        let (orders, receiver) = mpsc::channel(4);
        let links = start.links.subscribe();
        let trouble = Arc::new(Mutex::new(None));
        let published = start.ports.clone();
        let leading = ports.map(|ports| lead(ports, channel, published.clone(), links.clone()));
        let keeping = keep(address, channel, start, receiver, trouble.clone());
        let tasks = std::iter::once(tokio::spawn(keeping))
            .chain(leading.map(tokio::spawn))
            .collect();
        Self {
            links,
            orders,
            trouble,
            tasks,
            published,
        }
    }

    /// Waits until the engine answers a ping.
    pub(crate) async fn ready(&self) {
        let mut links = self.links.clone();
        loop {
            let Ok(link) = links
                .wait_for(Option::is_some)
                .await
                .map(|link| link.clone())
            else {
                return std::future::pending().await;
            };
            if let Some(link) = link
                && ping(&link).await.is_some()
            {
                return;
            }
            tokio::time::sleep(RETRY.0).await;
        }
    }

    /// Sends an order; `false` when there is no link for it until the time is up.
    pub(crate) async fn order(&self, order: FromHost, patience: Duration) -> bool {
        let mut links = self.links.clone();
        let sending = async {
            links.wait_for(Option::is_some).await.is_ok() && self.orders.send(order).await.is_ok()
        };
        tokio::time::timeout(patience, sending)
            .await
            .unwrap_or(false)
    }

    /// Why there is no link, as far as known.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.published.set_link(None);
    }
}

/// Whether the engine answers.
async fn ping(link: &Opener) -> Option<()> {
    const REQUEST: &[u8] = b"GET /_ping HTTP/1.1\r\nHost: slipway\r\nConnection: close\r\n\r\n";
    let mut stream = link.open(Service::Api).await.ok()?;
    stream.write_all(REQUEST).await.ok()?;
    stream.flush().await.ok()?;
    let mut answer = [0; 12];
    let reading = stream.read_exact(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .ok()?
        .ok()?;
    (&answer == b"HTTP/1.1 200").then_some(())
}

async fn keep(
    address: Address,
    mut channel: Channel,
    start: Start,
    mut orders: mpsc::Receiver<FromHost>,
    trouble: Arc<Mutex<Option<String>>>,
) {
    let note = |why: Option<String>| {
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    };
    let mut wait = RETRY.0;
    let names = Names::new();
    let mut read = None;
    loop {
        // Read while the guest comes up, and not for each attempt: all authorities are read.
        let world = read
            .take()
            .unwrap_or_else(|| tokio::task::spawn_blocking(super::world::describe));
        note(Some(SILENT.to_owned()));
        let ended = match call(&address, channel, wait * TRY).await {
            Ok(called) => session(called, world, &start, &names, &mut orders, &note).await,
            Err(error) => {
                read = Some(world);
                Err(error)
            }
        };
        match ended {
            Ok(()) => {
                tracing::info!("the link to the guest ended");
                note(Some("the link to the guest ended".to_owned()));
                wait = RETRY.0;
            }
            Err(error) => note(Some(error)),
        }
        channel = Channel::Used;
        start.links.send_replace(None);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

/// Keeps the link that connections to published ports go over. It comes up after the other, and
/// goes on when that ends.
async fn lead(
    address: Address,
    mut channel: Channel,
    ports: Ports,
    mut links: watch::Receiver<Option<Opener>>,
) {
    // An error means that the machine has ended, and this task is about to.
    let _ = links.wait_for(Option::is_some).await;
    loop {
        if let Ok((opener, _incoming)) = call(&address, channel, RETRY.1 * TRY).await {
            tracing::info!("the link for ports is up");
            ports.set_link(Some(opener.clone()));
            opener.closed().await;
            ports.set_link(None);
            tracing::info!("the link for ports ended");
        }
        channel = Channel::Used;
        tokio::time::sleep(RETRY.1).await;
    }
}

/// Connects and waits for an answer.
async fn call(
    address: &Address,
    channel: Channel,
    patience: Duration,
) -> Result<(Opener, Incoming), String> {
    let patience = if address.is_the_guests() {
        patience
    } else {
        ANSWER
    };
    let connected = tokio::time::timeout(patience, address.connect()).await;
    let io = connected
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(|error| format!("no link to the guest: {error}"))?;
    let calling = async {
        match channel {
            Channel::New => link::host_on_new(io).await,
            Channel::Used => link::host(io).await,
        }
    };
    let called = tokio::time::timeout(ANSWER, calling).await;
    let called = called.map_err(|_| SILENT.to_owned())?;
    called.map_err(|error| chain(&error))
}

/// One session, until it ends.
async fn session(
    (opener, _incoming): (Opener, Incoming),
    world: JoinHandle<FromHost>,
    start: &Start,
    names: &Names,
    orders: &mut mpsc::Receiver<FromHost>,
    note: &impl Fn(Option<String>),
) -> Result<(), String> {
    let control = opener
        .open(Service::Control)
        .await
        .map_err(|error| chain(&error))?;
    let (mut reader, mut writer) = control::split(control);
    note(None);
    tracing::info!("the link to the guest is up");
    let world = world.await.map_err(|error| error.to_string())?;
    let mut routes = super::world::routes().await;
    // Told before anybody can ask the engine for something.
    let first = [FromHost::Clock { unix_ns: unix_ns() }, world];
    for order in first.iter().chain(&routes) {
        writer.send(order).await.map_err(|error| chain(&error))?;
    }
    let questions = opener.open(Service::Resolve).await;
    let questions = questions.map_err(|error| chain(&error))?;
    // Ends with the session.
    tokio::spawn(names.clone().serve(questions));
    start.links.send_replace(Some(opener.clone()));
    start.ports.begin();
    let mut drift = Drift::new();
    let mut looks = 0_u32;
    let mut send = Vec::new();
    loop {
        for order in send.drain(..) {
            writer.send(&order).await.map_err(|error| chain(&error))?;
        }
        tokio::select! {
            () = opener.closed() => return Ok(()),
            order = orders.recv() => match order {
                Some(order) => send.push(order),
                // The tether is being dropped.
                None => return Ok(()),
            },
            () = tokio::time::sleep(LOOK) => {
                if drift.jumped() {
                    send.push(FromHost::Clock { unix_ns: unix_ns() });
                }
                looks += 1;
                // A VPN comes and goes.
                if looks.is_multiple_of(LOOKS) {
                    let now = super::world::routes().await;
                    if now != routes {
                        send.extend(now.clone());
                        routes = now;
                    }
                }
            }
            message = reader.receive::<FromGuest>() => match message {
                Ok(Some(FromGuest::Hello { version, kernel, warnings, disk_bytes })) => {
                    tracing::info!(version, kernel, "the engine says hello");
                    start.say(Progress::Warnings(warnings));
                    if let Some(bytes) = disk_bytes {
                        start.say(Progress::Disk(bytes));
                    }
                }
                Ok(Some(message)) => send.extend(publish(message, &start.ports).await),
                Ok(None) => {
                    // The engine is gone; a new one makes a new session.
                    opener.close();
                    return Ok(());
                }
                Err(error) => {
                    opener.close();
                    return Err(chain(&error));
                }
            },
        }
    }
}

/// Does what the engine wants with ports; the answer, if there is to be one.
async fn publish(message: FromGuest, ports: &Ports) -> Option<FromHost> {
    match message {
        FromGuest::Publish { seq, publication } => {
            return Some(match ports.publish(&publication).await {
                Ok(open) => FromHost::Published { seq, open },
                Err(reason) => FromHost::Refused { seq, reason },
            });
        }
        FromGuest::Withdraw { container } => ports.withdraw(&container),
        FromGuest::Condition {
            container,
            condition,
        } => ports.set_condition(&container, condition),
        FromGuest::Settled => ports.settle(),
        FromGuest::Hello { .. } | FromGuest::Stopping | FromGuest::Unknown => {}
    }
    None
}

/// Notices when the clock on the wall and the one that only counts differ.
struct Drift {
    wall: SystemTime,
    counted: Instant,
}

impl Drift {
    fn new() -> Self {
        Self {
            wall: SystemTime::now(),
            counted: Instant::now(),
        }
    }

    fn jumped(&mut self) -> bool {
        let expected = self.wall + self.counted.elapsed();
        let wall = SystemTime::now();
        let gap = wall
            .duration_since(expected)
            .or_else(|_| expected.duration_since(wall))
            .unwrap_or_default();
        let jumped = gap > JUMP;
        if jumped {
            *self = Self::new();
        }
        jumped
    }
}

fn unix_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
