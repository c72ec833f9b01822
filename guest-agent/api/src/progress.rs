//! Long operations that report as JSON lines: pull, push, load and import. An error before the first
//! line is an HTTP error, later ones are a line of their own, as Docker does.

use axum::response::Response;
use bytes::Bytes;
use engine::Error;
use engine::image::PullProgress;
use futures::StreamExt;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::error::{ApiError, Result};
use crate::reply;

/// Runs `operation` (whose last lines are what it returns) and streams its progress.
pub(crate) async fn run<F>(operation: impl FnOnce(mpsc::Sender<PullProgress>) -> F) -> Result
where
    F: Future<Output = std::result::Result<Vec<serde_json::Value>, Error>> + Send + 'static,
{
    let (progress, mut reports) = mpsc::channel::<PullProgress>(64);
    let work = tokio::spawn(operation(progress));
    // Wait for the first report, or for the end if there is none.
    let first = reports.recv().await;
    let Some(first) = first else {
        let last = finished(work).await?;
        let lines: Vec<Bytes> = last.iter().map(reply::line).collect();
        return Ok(respond(futures::stream::iter(lines)));
    };
    let (lines, stream) = mpsc::channel::<Bytes>(16);
    tokio::spawn(async move {
        let mut next = Some(first);
        while let Some(report) = next {
            // The client may be gone; the operation goes on to its end all the same.
            let _ = lines.send(reply::line(&report)).await;
            next = reports.recv().await;
        }
        let last = finished(work).await;
        let last = last.unwrap_or_else(|error| vec![failure(&error.message)]);
        for line in last {
            let _ = lines.send(reply::line(&line)).await;
        }
    });
    Ok(respond(ReceiverStream::new(stream)))
}

/// An error as a line.
pub(crate) fn failure(message: &str) -> serde_json::Value {
    json!({ "errorDetail": { "message": message }, "error": message })
}

async fn finished(
    work: tokio::task::JoinHandle<std::result::Result<Vec<serde_json::Value>, Error>>,
) -> Result<Vec<serde_json::Value>> {
    match work.await {
        Ok(outcome) => Ok(outcome?),
        Err(failed) => Err(ApiError::from(Error::System(format!(
            "an engine task failed: {failed}"
        )))),
    }
}

fn respond(lines: impl futures::Stream<Item = Bytes> + Send + 'static) -> Response {
    reply::stream("application/json", lines.map(|line| line))
}
