//! Follows containers and images while the engine runs, and notices when it stops answering.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures::StreamExt;
use tauri::ipc::Channel;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use super::{containers, images, now};
use crate::desk::Desk;
use crate::view::{Problem, WindowEvent};

/// Changes are gathered for this long, so that a burst of them is one repaint.
const BATCH: Duration = Duration::from_millis(250);
/// How often the engine is asked whether it is there, while somebody looks.
const PING: Duration = Duration::from_secs(3);
/// How long it may be silent before the page says so.
const SILENCE: i64 = 6_000;
/// How long to wait before trying again after the events broke off.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn watch(
    desk: Arc<Desk>,
    channel: Channel<WindowEvent>,
    mut runs: watch::Receiver<bool>,
) {
    let mut contact = Contact::new(channel.clone());
    while becomes(&mut runs, true).await {
        tokio::select! {
            // Whatever broke off is tried again, as long as the machine runs.
            _ = follow(&desk, &channel, &mut contact) => sleep(PAUSE).await,
            _ = becomes(&mut runs, false) => {}
        }
    }
}

/// Waits until the machine runs, or does not; false when nobody watches it any more.
async fn becomes(runs: &mut watch::Receiver<bool>, wanted: bool) -> bool {
    runs.wait_for(|runs| *runs == wanted).await.is_ok()
}

async fn follow(
    desk: &Desk,
    channel: &Channel<WindowEvent>,
    contact: &mut Contact,
) -> Result<(), Problem> {
    let docker = desk.docker()?;
    let mut visible = desk.visible.subscribe();
    // Listen first, then read: nothing can happen unseen in between.
    let mut events = pin!(docker.events(None::<EventsOptions>));
    let mut known = containers::Known::default();
    let mut containers_due = Some(Instant::now());
    let mut images_due = Some(Instant::now());
    let mut ping = interval(PING);
    loop {
        let seen = *visible.borrow_and_update();
        tokio::select! {
            event = events.next() => {
                let event = event.ok_or_else(|| Problem::say("the events ended"))??;
                let due = Instant::now() + BATCH;
                match matters(&event) {
                    Some(Thing::Container) => { containers_due.get_or_insert(due); }
                    Some(Thing::Image) => { images_due.get_or_insert(due); }
                    None => {}
                }
            }
            () = at(containers_due), if containers_due.is_some() => {
                containers_due = None;
                if let Some(event) = known.read(&docker).await? {
                    channel.send(event)?;
                }
                contact.answered()?;
            }
            () = at(images_due), if images_due.is_some() => {
                images_due = None;
                let images = images::read(&docker).await?;
                channel.send(WindowEvent::Images { images })?;
            }
            _ = ping.tick(), if seen => contact.ask(&docker).await?,
            _ = visible.changed() => {}
        }
    }
}

async fn at(due: Option<Instant>) {
    sleep_until(due.unwrap_or_else(Instant::now)).await;
}

enum Thing {
    Container,
    Image,
}

/// What an event changes on the screen. Commands run inside containers and terminals change
/// nothing that is shown.
fn matters(event: &EventMessage) -> Option<Thing> {
    let action = event.action.as_deref().unwrap_or_default();
    match event.typ? {
        EventMessageTypeEnum::CONTAINER
            if !action.starts_with("exec_") && !matches!(action, "attach" | "resize" | "top") =>
        {
            Some(Thing::Container)
        }
        EventMessageTypeEnum::IMAGE => Some(Thing::Image),
        _ => None,
    }
}

/// Whether the engine answers, and whether the page knows.
struct Contact {
    channel: Channel<WindowEvent>,
    last: i64,
    lost: bool,
}

impl Contact {
    fn new(channel: Channel<WindowEvent>) -> Self {
        Self {
            channel,
            last: now(),
            lost: false,
        }
    }

    async fn ask(&mut self, docker: &Docker) -> Result<(), Problem> {
        match timeout(PING, docker.ping()).await {
            Ok(Ok(_)) => self.answered(),
            _ if !self.lost && now() - self.last >= SILENCE => {
                self.lost = true;
                self.tell()
            }
            _ => Ok(()),
        }
    }

    fn answered(&mut self) -> Result<(), Problem> {
        self.last = now();
        if !std::mem::replace(&mut self.lost, false) {
            return Ok(());
        }
        self.tell()
    }

    fn tell(&self) -> Result<(), Problem> {
        Ok(self.channel.send(WindowEvent::Contact {
            answering: !self.lost,
            last: self.last,
        })?)
    }
}
