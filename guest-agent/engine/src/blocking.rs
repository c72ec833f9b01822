//! Blocking work (files, netlink, the image index) on tokio's blocking threads, or on the thread that
//! is at it anyway.

use crate::Error;

/// Runs `work` on a blocking thread.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    beside(work).await
}

/// Runs `work` on a blocking thread, from now on; the future is its end.
pub(crate) fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> impl Future<Output = Result<T, Error>> {
    let worker = tokio::task::spawn_blocking(work);
    let failed = |e| Err(Error::System(format!("a worker thread failed: {e}")));
    async move { worker.await.unwrap_or_else(failed) }
}

/// Runs short `work` on this thread; another one takes over what else it had to do. For what somebody
/// waits for: two changes of thread take longer than most of our work.
pub(crate) fn here<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
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
