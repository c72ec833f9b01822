//! Removing things, with time to undo.

use std::sync::Arc;
use std::time::Duration;

use super::{Answer, State};
use crate::removal::{Removal, Removed};

/// Removes things after `delay_ms`. `null` when it was undone with the same `ticket`.
#[tauri::command]
pub(crate) async fn remove(
    desk: State<'_>,
    ticket: u32,
    things: Vec<Removal>,
    delay_ms: u64,
) -> Answer<Option<Vec<Removed>>> {
    let desk = Arc::clone(&desk);
    let delay = Duration::from_millis(delay_ms);
    Ok(desk.removals.remove(&desk, ticket, things, delay).await)
}

/// Takes a removal back; false when it is too late.
#[tauri::command]
pub(crate) async fn undo(desk: State<'_>, ticket: u32) -> Answer<bool> {
    Ok(desk.removals.undo(ticket))
}
