//! Tells the page what changes, so that it never has to ask.

mod containers;
mod images;
mod machine;
mod objects;
mod status_text;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tauri::async_runtime::spawn;
use tauri::ipc::Channel;
use tokio::sync::watch;

use crate::desk::Desk;
use crate::view::WindowEvent;

/// Begins to tell `channel` of every change, in place of the one before.
pub(crate) fn begin(desk: &Arc<Desk>, channel: Channel<WindowEvent>) {
    let (running, runs) = watch::channel(false);
    let machine = spawn(machine::watch(Arc::clone(desk), channel.clone(), running));
    let objects = spawn(objects::watch(Arc::clone(desk), channel, runs));
    desk.watch_with(vec![machine, objects]);
}

/// Now, in Unix milliseconds.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
