//! Waking when something is written in a directory, by inotify.
#![expect(
    unsafe_code,
    reason = "tokio's only way to wait for a descriptor of ours is an unsafe call"
)]

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;

use crate::Error;

/// Tells when something in a directory is written.
pub(crate) struct Watch(AsyncFd<OwnedFd>);

impl Watch {
    /// Starts watching: what is written from now on wakes.
    pub(crate) fn new(dir: &Path) -> Result<Self, Error> {
        let failed = |e: std::io::Error| Error::file("watching", dir, e);
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)
            .map_err(|e| failed(e.into()))?;
        inotify::add_watch(
            &fd,
            dir,
            inotify::WatchFlags::MODIFY
                | inotify::WatchFlags::CREATE
                | inotify::WatchFlags::MOVED_TO
                | inotify::WatchFlags::DELETE_SELF,
        )
        .map_err(|e| failed(e.into()))?;
        // SAFETY: the descriptor is owned by the `AsyncFd`, which alone closes it.
        let fd = unsafe { AsyncFd::register(fd) }.map_err(|e| failed(e.into()))?;
        Ok(Self(fd))
    }

    /// Waits for the next write.
    pub(crate) async fn changed(&self) -> Result<(), Error> {
        let failed = |e: std::io::Error| Error::System(format!("watching the log: {e}"));
        let mut ready = self.0.readable().await.map_err(failed)?;
        let mut buffer = [0u8; 4096];
        // Which file changed does not matter: empty the queue and read on.
        loop {
            match rustix::io::read(self.0.get_ref(), &mut buffer[..]) {
                Ok(n) if n > 0 => {}
                Ok(_) | Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(failed(e.into())),
            }
        }
        ready.clear_ready();
        Ok(())
    }
}
