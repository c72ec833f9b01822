//! Makes sure that the machine runs before a command speaks to its engine.

use client::Home;
use client::wire::{StartRequest, State};

use super::steps::{self, Shown};
use crate::failure::Failure;

/// Starts the service and the machine if they don't run. Says nothing unless it takes a while.
///
/// # Errors
/// When one of them can't be started.
pub(crate) async fn ensure(home: &Home) -> Result<(), Failure> {
    let client = client::ensure_service(home).await?;
    if client.status().await?.machine.state == State::Running {
        return Ok(());
    }
    let updates = client.start(StartRequest::default()).await?;
    steps::follow(updates, Shown::Late).await?;
    Ok(())
}
