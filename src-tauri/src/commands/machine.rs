//! The machine: start, stop, its console, the report for people who help.

use client::Client;
use client::wire::{StartRequest, StopRequest};

use super::{Answer, State};

/// Starts the machine, and slipwayd if it does not run. Returns when the engine answers.
#[tauri::command]
pub(crate) async fn machine_start(desk: State<'_>) -> Answer<()> {
    let client = desk.service().await?;
    let updates = client.start(StartRequest::default()).await?;
    Ok(updates.finish(|_| ()).await?)
}

/// Stops the machine. Returns when it is off.
#[tauri::command]
pub(crate) async fn machine_stop(desk: State<'_>) -> Answer<()> {
    let client = Client::new(&desk.home);
    let updates = client.stop(StopRequest::default()).await?;
    Ok(updates.finish(|_| ()).await?)
}

/// Stops the machine if it runs, and starts it.
#[tauri::command]
pub(crate) async fn machine_restart(desk: State<'_>) -> Answer<()> {
    let client = desk.service().await?;
    let updates = client.restart(StartRequest::default()).await?;
    Ok(updates.finish(|_| ()).await?)
}

/// The last lines of the machine's console.
#[tauri::command]
pub(crate) async fn machine_console(desk: State<'_>, tail: usize) -> Answer<Vec<String>> {
    let mut lines = Client::new(&desk.home).logs(Some(tail), false).await?;
    let mut all = Vec::new();
    while let Some(line) = lines.next().await {
        all.push(line?);
    }
    Ok(all)
}

/// The report for people who help.
#[tauri::command]
pub(crate) async fn diagnose(desk: State<'_>) -> Answer<String> {
    Ok(desk.service().await?.diagnose().await?)
}
