//! Keeps the size of a container's terminal the same as this one's.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::engine::{Engine, Query, segment};
use crate::terminal;

/// Whose terminal it is.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A container's main process.
    Container(String),
    /// A command run in a container.
    Exec(String),
}

impl Target {
    async fn resize(&self, engine: &Engine, (rows, columns): (u16, u16)) -> bool {
        let path = match self {
            Self::Container(id) => format!("/containers/{}/resize", segment(id)),
            Self::Exec(id) => format!("/exec/{}/resize", segment(id)),
        };
        let query = Query::new().set("h", rows).set("w", columns);
        engine.act(&path, &query).await.is_ok()
    }
}

/// Sends the size now and after each change, until the handle is aborted.
pub(crate) fn follow_size(engine: &Engine, target: Target) -> JoinHandle<()> {
    let engine = engine.clone();
    tokio::spawn(async move {
        let Ok(mut resizes) = terminal::Resizes::new() else {
            return;
        };
        // The process may need a moment until its terminal is there.
        for attempt in 1..=10 {
            let Some(size) = terminal::size() else { break };
            if target.resize(&engine, size).await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10 * attempt)).await;
        }
        loop {
            resizes.next().await;
            if let Some(size) = terminal::size() {
                target.resize(&engine, size).await;
            }
        }
    })
}

/// Makes the size differ for a moment, so that the program inside paints its screen again for
/// someone who has just attached.
pub(crate) async fn nudge_size(engine: &Engine, target: &Target) {
    if let Some((rows, columns)) = terminal::size() {
        target
            .resize(engine, (rows.saturating_add(1), columns.saturating_add(1)))
            .await;
    }
}
