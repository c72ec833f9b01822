//! Removals that wait, so that they can be undone. Nothing is sent until the time is over or the
//! window quits.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bollard::query_parameters::{RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use ts_rs::TS;

use crate::desk::{Desk, lock};
use crate::view::Problem;

/// How long quitting may take for removals that still wait.
const QUIT: Duration = Duration::from_secs(5);

/// A thing to remove.
#[derive(Debug, Clone, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Removal {
    /// What it is.
    kind: Kind,
    /// Container id, image tag or image id.
    id: String,
    /// Also when it runs or is in use.
    force: bool,
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Container,
    Image,
}

/// What became of a removal.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Removed {
    /// As it was named.
    id: String,
    /// Why it is still there.
    problem: Option<Problem>,
}

type Waiting = (Vec<Removal>, oneshot::Sender<()>);

/// The removals that wait.
#[derive(Default)]
pub(crate) struct Removals {
    waiting: Mutex<HashMap<u32, Waiting>>,
}

impl Removals {
    /// Waits, then removes. `None` when it was undone meanwhile.
    pub(crate) async fn remove(
        &self,
        desk: &Desk,
        ticket: u32,
        things: Vec<Removal>,
        delay: Duration,
    ) -> Option<Vec<Removed>> {
        if !delay.is_zero() {
            let (undo, undone) = oneshot::channel();
            lock(&self.waiting).insert(ticket, (things.clone(), undo));
            if tokio::time::timeout(delay, undone).await.is_ok() {
                return None;
            }
            // Whoever takes the entry does the work: quitting may have been faster.
            lock(&self.waiting).remove(&ticket)?;
        }
        Some(now(desk, things).await)
    }

    /// Takes a removal back; false when it is too late.
    pub(crate) fn undo(&self, ticket: u32) -> bool {
        match lock(&self.waiting).remove(&ticket) {
            Some((_, undo)) => undo.send(()).is_ok(),
            None => false,
        }
    }

    /// Removes at once all that waits: the window quits.
    pub(crate) async fn finish(&self, desk: &Desk) {
        let all: Vec<Removal> = lock(&self.waiting)
            .drain()
            .flat_map(|(_, (things, _))| things)
            .collect();
        if !all.is_empty() {
            // The window is closing: there is nobody left to tell about a failure.
            let _ = tokio::time::timeout(QUIT, now(desk, all)).await;
        }
    }
}

async fn now(desk: &Desk, things: Vec<Removal>) -> Vec<Removed> {
    join_all(things.into_iter().map(|thing| async move {
        let problem = one(desk, &thing).await.err();
        Removed {
            id: thing.id,
            problem,
        }
    }))
    .await
}

async fn one(desk: &Desk, thing: &Removal) -> Result<(), Problem> {
    let docker = desk.docker()?;
    match thing.kind {
        Kind::Container => {
            let options = RemoveContainerOptionsBuilder::new()
                .force(thing.force)
                .v(true)
                .build();
            docker.remove_container(&thing.id, Some(options)).await?;
        }
        Kind::Image => {
            let options = RemoveImageOptionsBuilder::new().force(thing.force).build();
            docker.remove_image(&thing.id, Some(options), None).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::sync::Arc;

    fn thing() -> Vec<Removal> {
        vec![Removal {
            kind: Kind::Container,
            id: "abc".into(),
            force: false,
        }]
    }

    fn desk() -> Arc<Desk> {
        Arc::new(Desk::new(client::Home::at("/nonexistent/slipway")))
    }

    #[tokio::test]
    async fn undo_stops_a_waiting_removal() {
        let desk = desk();
        let task = tokio::spawn({
            let desk = Arc::clone(&desk);
            async move {
                desk.removals
                    .remove(&desk, 7, thing(), Duration::from_secs(60))
                    .await
            }
        });
        while lock(&desk.removals.waiting).is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(desk.removals.undo(7));
        assert!(task.await.unwrap().is_none());
        assert!(!desk.removals.undo(7), "it cannot be undone twice");
    }

    #[tokio::test]
    async fn without_delay_it_is_sent_at_once() {
        let desk = desk();
        let done = desk
            .removals
            .remove(&desk, 1, thing(), Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(done.len(), 1);
        assert!(done[0].problem.is_some(), "no engine answers here");
    }
}
