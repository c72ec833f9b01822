//! Removes interfaces behind the back of the caller: the kernel takes some 30 ms to remove a pair,
//! mostly waiting for all processors to let go of it, and nobody needs to wait along.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::leases::Leases;
use crate::netlink::Netlink;
use crate::{Endpoint, Error, messages};

/// The thread that removes interfaces.
#[derive(Debug)]
pub(crate) struct Sweeper {
    orders: Sender<Order>,
}

/// What the thread is told.
enum Order {
    /// Remove the interface of a lease that ended; its addresses are free again afterwards, not
    /// before, so that two containers never answer to one address.
    End(Box<Endpoint>),
    /// Remove an interface.
    Remove(String),
    /// Say when everything before this is done.
    Answer(Sender<()>),
}

impl Sweeper {
    /// Starts the thread; it ends with the sweeper.
    pub(crate) fn start(leases: Arc<Mutex<Leases>>) -> Result<Self, Error> {
        let netlink = Netlink::open()?;
        let (orders, received) = mpsc::channel();
        thread::Builder::new()
            .name("network-sweep".to_owned())
            .spawn(move || sweep(netlink, &received, &leases))
            .map_err(Error::Namespace)?;
        Ok(Self { orders })
    }

    /// Has the interface of a lease that ended removed, and its addresses given back.
    pub(crate) fn end(&self, lease: Endpoint) -> Result<(), Error> {
        let order = Order::End(Box::new(lease));
        self.orders.send(order).map_err(|_| Error::Worker)
    }

    /// Has an interface removed.
    pub(crate) fn remove(&self, name: String) -> Result<(), Error> {
        let order = Order::Remove(name);
        self.orders.send(order).map_err(|_| Error::Worker)
    }

    /// Waits until everything ordered so far is done.
    pub(crate) fn wait(&self) -> Result<(), Error> {
        let (answer, answered) = mpsc::channel();
        self.orders
            .send(Order::Answer(answer))
            .map_err(|_| Error::Worker)?;
        answered.recv().map_err(|_| Error::Worker)
    }
}

fn sweep(mut netlink: Netlink, orders: &Receiver<Order>, leases: &Mutex<Leases>) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::End(lease) => {
                let name = &lease.host_iface;
                if !name.is_empty()
                    && let Err(error) = netlink.apply(vec![messages::remove_link(name)])
                {
                    // The address stays taken: whatever holds the interface may still use it.
                    tracing::warn!(%name, %error, "an interface could not be removed");
                    continue;
                }
                leases
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .release(&lease);
            }
            Order::Remove(name) => {
                if let Err(error) = netlink.apply(vec![messages::remove_link(&name)]) {
                    tracing::warn!(%name, %error, "an interface could not be removed");
                }
            }
            // Whoever asked may have gone away; then nobody waits.
            Order::Answer(answer) => drop(answer.send(())),
        }
    }
}
