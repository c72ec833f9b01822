//! Follows the machine's state.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use client::wire::{State, Update};
use tauri::ipc::Channel;
use tokio::sync::watch;

use crate::desk::Desk;
use crate::view::{Problem, WindowEvent};

/// How long to wait before looking for a slipwayd that was not there.
const PAUSE: Duration = Duration::from_secs(1);

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
    let mut updates = Client::new(&desk.home).events().await?;
    while let Some(update) = updates.next().await {
        if let Update::Status { status } = update? {
            let runs = status.machine.state == State::Running;
            let machine = (*status).into();
            if channel.send(WindowEvent::Machine { machine }).is_err() {
                return Ok(());
            }
            *told = false;
            running.send_if_modified(|known| std::mem::replace(known, runs) != runs);
        }
    }
    Ok(())
}
