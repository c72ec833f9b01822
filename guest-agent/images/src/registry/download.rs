//! One blob from a registry into a waiting thread, resumed where a connection broke.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::connect::Registry;
use super::request::{Ask, Failure};
use super::retry::Backoff;
use crate::manifest::Descriptor;
use crate::progress::Reporter;
use crate::stream::Feeder;
use crate::{Error, PullProgress, Result};

/// Docker's rate of progress messages.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// A blob on its way.
pub(crate) struct Download<'a> {
    /// Where from.
    pub(crate) registry: &'a Registry,
    /// What.
    pub(crate) blob: &'a Descriptor,
    /// The layer's name in messages.
    pub(crate) id: &'a str,
    /// Who wants to know.
    pub(crate) reporter: &'a Reporter,
}

/// Feeds the whole blob to `feeder`; whoever reads it checks the digest. False when the reader has
/// given up before the end: the reader knows why.
pub(crate) async fn download(download: Download<'_>, feeder: Feeder) -> Result<bool> {
    let mut done = 0_u64;
    let mut backoff = Backoff::default();
    loop {
        let before = done;
        match download.run(&mut done, &feeder).await {
            Ok(true) => {
                feeder.finish().await;
                return Ok(true);
            }
            Ok(false) => return Ok(false),
            Err(failure) => {
                if done > before {
                    backoff.progressed();
                }
                let Some(wait) = failure.wait(&mut backoff) else {
                    return Err(failure.error);
                };
                tracing::debug!(id = download.id, error = %failure.error, ?wait, "layer download interrupted");
                let seconds = wait.as_secs().max(1);
                let plural = if seconds == 1 { "" } else { "s" };
                let status = format!("Retrying in {seconds} second{plural}");
                download
                    .reporter
                    .say(PullProgress::layer(download.id, &status))
                    .await;
                tokio::time::sleep(wait).await;
            }
        }
    }
}

impl Download<'_> {
    /// One connection. True when the blob is complete, false when nobody reads it any more.
    async fn run(&self, done: &mut u64, feeder: &Feeder) -> Result<bool, Failure> {
        let total = self.blob.size;
        let mut response = self.registry.blob(&self.blob.digest, *done).await?;
        // A registry without ranges starts again; what was passed on already is skipped.
        let mut skip = if response.status() == StatusCode::PARTIAL_CONTENT {
            0
        } else {
            *done
        };
        let mut reported: Option<Instant> = None;
        loop {
            let piece = match response.chunk().await {
                Ok(Some(piece)) => piece,
                Ok(None) if *done == total || total == 0 => break,
                Ok(None) => return Err(Failure::passing(self.cut_off(*done))),
                Err(error) => {
                    return Err(Failure::passing(
                        self.registry.unreachable(&self.ask(), &error),
                    ));
                }
            };
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip -= skipped as u64;
            let piece = piece.slice(skipped..);
            if piece.is_empty() {
                continue;
            }
            *done += piece.len() as u64;
            if total > 0 && *done > total {
                return Err(Failure::lasting(Error::invalid(format!(
                    "filesystem layer verification failed for digest {}: the registry sent more than the {total} bytes that the manifest names",
                    self.blob.digest
                ))));
            }
            if !feeder.send(piece).await {
                return Ok(false);
            }
            if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
                reported = Some(Instant::now());
                self.reporter
                    .measure(PullProgress::measured(self.id, "Downloading", *done, total));
            }
        }
        Ok(true)
    }

    fn ask(&self) -> Ask {
        Ask::get(self.registry.blob_path(&self.blob.digest))
    }

    fn cut_off(&self, done: u64) -> Error {
        Error::Network(format!(
            "the registry closed the connection after {done} of {} bytes of layer {}; pull again to retry",
            self.blob.size, self.id
        ))
    }
}
