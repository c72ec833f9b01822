//! The order to start, for machines that wait for one: those that come from a snapshot, and those that
//! get a key, which QEMU's arguments would tell to everybody on this computer.

use std::time::{Duration, UNIX_EPOCH};

use client::wire::Problem;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::arguments::{Channels, settings};
use super::random;
use crate::machine::channel::{Address, Channel};
use crate::problem::{Explain, problem};

/// How long a started QEMU takes to open its channels, and how often it is looked at.
const CHANNELS: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Bytes of randomness for each start.
const SEED: usize = 32;

/// Tells a machine that waits to begin. The channel is to stay open until it has.
pub(super) async fn give(channels: &Channels) -> Result<Option<Box<dyn Channel>>, Problem> {
    let Some(address) = &channels.start else {
        return Ok(None);
    };
    let failed = |error: std::io::Error| problem("cannot tell the machine to start").because(error);
    let mut channel = connect(address).await.map_err(failed)?;
    let seed = random::text::<SEED>()?;
    let now = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let order = format!("{now} {seed} {}\n", settings(channels));
    channel.write_all(order.as_bytes()).await.map_err(failed)?;
    channel.flush().await.map_err(failed)?;
    Ok(Some(channel))
}

async fn connect(address: &Address) -> std::io::Result<Box<dyn Channel>> {
    let deadline = Instant::now() + CHANNELS;
    loop {
        match address.connect().await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            result => return result,
        }
    }
}
