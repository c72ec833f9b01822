//! Streams of [`Update`]s: a line whenever the status changes, until the request is done.

use std::sync::Arc;
use std::time::Duration;

use client::wire::{Problem, StartRequest, Status, Update};
use tokio::sync::watch;

use super::body::{Body, Writer, written};
use crate::machine::Owner;

/// The status now and whenever it changes, without end.
pub(super) fn events(owner: &Owner) -> Body {
    let status = owner.status();
    written(move |writer| async move {
        tokio::select! {
            () = tell(&writer, status) => {}
            () = writer.gone() => {}
        }
    })
}

/// The answer begins when the status says that the machine starts.
pub(super) async fn start(owner: Owner, request: StartRequest) -> Body {
    let status = owner.status();
    during(status, owner.start(request).await)
}

pub(super) async fn stop(owner: Owner, timeout: Duration) -> Body {
    let status = owner.status();
    during(status, owner.stop(timeout).await)
}

pub(super) async fn restart(owner: Owner, request: StartRequest) -> Body {
    let status = owner.status();
    let stopped = owner.stop(super::STOP).await;
    during(status, async move {
        stopped.await?;
        owner.start(request).await.await
    })
}

/// Tells the status while the work goes on, then how it ended. The work goes on when the client
/// leaves.
fn during(
    status: watch::Receiver<Arc<Status>>,
    work: impl Future<Output = Result<(), Problem>> + Send + 'static,
) -> Body {
    let work = tokio::spawn(work);
    written(move |writer| async move {
        let mut last = status.clone();
        let result = tokio::select! {
            result = work => result,
            () = tell(&writer, status) => return,
        };
        // The status may have changed together with the work's end.
        let now = last.borrow_and_update().clone();
        send(
            &writer,
            &Update::Status {
                status: Box::new((*now).clone()),
            },
        )
        .await;
        let end = match result {
            Ok(Ok(())) => Update::Done,
            Ok(Err(problem)) => Update::Failed { problem },
            Err(error) => Update::Failed {
                problem: crate::problem::problem(error.to_string()),
            },
        };
        send(&writer, &end).await;
    })
}

/// Ends when the client is gone.
async fn tell(writer: &Writer, mut status: watch::Receiver<Arc<Status>>) {
    loop {
        let now = status.borrow_and_update().clone();
        if !send(
            writer,
            &Update::Status {
                status: Box::new((*now).clone()),
            },
        )
        .await
        {
            return;
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}

async fn send(writer: &Writer, update: &Update) -> bool {
    let Ok(mut line) = serde_json::to_vec(update) else {
        return false;
    };
    line.push(b'\n');
    writer.write(line).await
}
