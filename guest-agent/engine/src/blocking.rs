//! Blocking work (files, netlink, the image index) on tokio's blocking threads.

use crate::Error;

/// Runs `work` on a blocking thread.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Error::System(format!("a worker thread failed: {e}"))))
}

/// Runs `future` to its end even when the caller goes away, as when a client hangs up in the
/// middle of a start.
pub(crate) async fn to_the_end<T: Send + 'static>(
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(future)
        .await
        .unwrap_or_else(|e| Err(Error::System(format!("an engine task failed: {e}"))))
}

/// Runs `work` on a blocking thread; nobody waits for it.
pub(crate) fn behind(work: impl FnOnce() + Send + 'static) {
    drop(tokio::task::spawn_blocking(work));
}
