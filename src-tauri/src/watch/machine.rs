//! Follows the machine's state.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use client::wire::{State, Update};
use tauri::ipc::Channel;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::desk::Desk;
use crate::view::{Problem, WindowEvent};

/// How long to wait before looking for a slipwayd that was not there.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the size of the disk is read while somebody looks; it changes without an event.
const AGAIN: Duration = Duration::from_secs(15);

pub(super) async fn watch(
    desk: Arc<Desk>,
    channel: Channel<WindowEvent>,
    running: watch::Sender<bool>,
) {
    let mut told = false;
    loop {
        let started = desk.service_started.notified();
        let problem = match follow(&desk, &channel, &running, &mut told).await {
            Ok(()) => None,
            Err(error) => Some(Problem::from(error)),
        };
        running.send_replace(false);
        if !told {
            let problem = problem.unwrap_or_default();
            // The page went away when it cannot be told.
            if channel.send(WindowEvent::NoService { problem }).is_err() {
                return;
            }
            told = true;
        }
        let _ = tokio::time::timeout(PAUSE, started).await;
    }
}

async fn follow(
    desk: &Desk,
    channel: &Channel<WindowEvent>,
    running: &watch::Sender<bool>,
    told: &mut bool,
) -> Result<(), client::Error> {
    let client = Client::new(&desk.home);
    let mut updates = client.events().await?;
    let mut visible = desk.visible.subscribe();
    let mut again = interval(AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let wanted = *visible.borrow_and_update() && *running.borrow();
        let status = tokio::select! {
            update = updates.next() => match update {
                None => return Ok(()),
                Some(Ok(Update::Status { status })) => *status,
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error),
            },
            _ = again.tick(), if wanted => client.status().await?,
            _ = visible.changed() => continue,
        };
        let runs = status.machine.state == State::Running;
        let machine = Box::new(status.into());
        if channel.send(WindowEvent::Machine { machine }).is_err() {
            return Ok(());
        }
        *told = false;
        running.send_if_modified(|known| std::mem::replace(known, runs) != runs);
    }
}
