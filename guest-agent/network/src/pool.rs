//! Network namespaces made ahead of the containers: the kernel takes longer for one than for all
//! else that a container needs of the network. They are held by descriptors alone, so those of an
//! engine that dies are gone with it.
#![expect(
    unsafe_code,
    reason = "unshare(2) is unsafe in Rust because it could take away a shared descriptor table"
)]

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::bridge::switch;
use crate::netlink::Netlink;
use crate::{Error, messages};

/// The namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// The loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;

/// So many wait for containers.
const READY: usize = 2;

/// A namespace of nobody's yet: it has the loopback interface and the settings that all have.
pub(crate) struct Fresh {
    netns: File,
    /// Speaks to the kernel from inside.
    pub(crate) netlink: Netlink,
}

impl Fresh {
    /// Makes one. A thread of its own enters the namespace and then ends, because a thread can't be
    /// trusted to come back.
    fn make() -> Result<Self, Error> {
        on_a_thread(|| {
            // SAFETY: only the network namespace is unshared; descriptors and memory stay shared
            // with the other threads as they were.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
                .map_err(|error| Error::Namespace(error.into()))?;
            let netns = File::open(OWN).map_err(Error::file("open", OWN))?;
            prepare_settings()?;
            let mut netlink = Netlink::open()?;
            netlink.apply(vec![messages::bring_up(LOOPBACK, "lo")])?;
            Ok(Self { netns, netlink })
        })
    }
}

impl AsFd for Fresh {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }
}

/// Runs `work` on a thread that then ends.
pub(crate) fn on_a_thread<T: Send>(
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, work)
            .map_err(Error::Namespace)?
            .join()
            .map_err(|_| Error::Worker)?
    })
}

/// Runs `work` in a network namespace, on a thread that then ends.
pub(crate) fn within<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    on_a_thread(|| {
        let kind = Some(LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(netns, kind)
            .map_err(|error| Error::Namespace(error.into()))?;
        work()
    })
}

/// Those that wait, and the thread that makes them; it ends with the pool.
#[derive(Debug)]
pub(crate) struct Pool {
    ready: Arc<Mutex<Vec<Fresh>>>,
    orders: Sender<()>,
}

impl Pool {
    /// Starts the thread; nothing is made before the first order.
    pub(crate) fn start() -> Result<Self, Error> {
        let ready = Arc::new(Mutex::new(Vec::new()));
        let (orders, received) = mpsc::channel();
        let filled = Arc::clone(&ready);
        thread::Builder::new()
            .name("network-pool".to_owned())
            .spawn(move || fill(&received, &filled))
            .map_err(Error::Namespace)?;
        Ok(Self { ready, orders })
    }

    /// One that is ready, or one made now.
    pub(crate) fn take(&self) -> Result<Fresh, Error> {
        let ready = lock(&self.ready).pop();
        ready.map_or_else(Fresh::make, Ok)
    }

    /// Has what was taken made anew, behind the caller's back.
    pub(crate) fn refill(&self) {
        // Without the thread each is made when it is needed.
        let _ = self.orders.send(());
    }
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

fn lock(ready: &Mutex<Vec<Fresh>>) -> std::sync::MutexGuard<'_, Vec<Fresh>> {
    ready.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fill(orders: &Receiver<()>, ready: &Mutex<Vec<Fresh>>) {
    while orders.recv().is_ok() {
        while lock(ready).len() < READY {
            match Fresh::make() {
                Ok(fresh) => lock(ready).push(fresh),
                Err(error) => {
                    // The next container meets the same and tells it.
                    tracing::warn!(%error, "a network namespace could not be made ahead");
                    break;
                }
            }
        }
    }
}

/// Settings of a fresh namespace, before it has interfaces: no IPv6 addresses of its own on
/// `eth0`, and Docker's permission for low ports and pings without capabilities. The names under
/// `/proc/sys/net` are those of the calling thread's namespace.
fn prepare_settings() -> Result<(), Error> {
    for (name, value) in [
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv4/ip_unprivileged_port_start", "0"),
        ("ipv4/ping_group_range", "0 2147483647"),
    ] {
        let path = Path::new("/proc/sys/net").join(name);
        switch(&path, value)?;
    }
    Ok(())
}
