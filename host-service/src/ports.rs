//! Published ports: what the engine has published is open on this computer, and each connection
//! goes over the machine's second link to a container. Listeners outlive the engine and its link;
//! the engine says all again when it comes back.

mod balance;
mod bind;
mod carry;
mod datagrams;
#[cfg(any(windows, test))]
mod excluded;
mod host;
mod table;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::wire::Machine;
use link::Opener;
use link::control::{Condition, Publication};
use tokio::sync::watch;

pub(crate) use host::raise_limit;

use table::Table;

/// All published ports. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    table: Arc<Mutex<Table>>,
    link: watch::Sender<Option<Opener>>,
}

impl Ports {
    /// None is open. Must be called within a tokio runtime.
    pub(crate) fn new() -> Self {
        let (link, links) = watch::channel(None);
        Self {
            table: Arc::new(Mutex::new(Table::new(links))),
            link,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the link that connections go over, or `None` while there is none.
    pub(crate) fn set_link(&self, link: Option<Opener>) {
        self.link.send_replace(link);
    }

    /// An engine begins to say what it has published.
    pub(crate) fn begin(&self) {
        self.lock().begin();
    }

    /// Opens a container's ports and closes those that it no longer wants. All of them or none.
    ///
    /// # Errors
    /// Why one can't be opened, in Docker's words.
    pub(crate) async fn publish(
        &self,
        publication: &Publication,
    ) -> Result<Vec<Vec<SocketAddr>>, String> {
        // What was closed a moment ago may be wanted again.
        let closing = self.lock().take_closing();
        for task in closing {
            let _ = task.await;
        }
        let opened = self.lock().publish(publication);
        if let Err(reason) = &opened {
            tracing::warn!(container = publication.name, reason, "ports are not opened");
        }
        opened
    }

    /// Closes a container's ports: it has ended.
    pub(crate) fn withdraw(&self, container: &str) {
        self.lock().withdraw(container);
    }

    /// Notes how fit a container is.
    pub(crate) fn set_condition(&self, container: &str, condition: Condition) {
        self.lock().set_condition(container, condition);
    }

    /// The engine has said all: closes what it has not named.
    pub(crate) fn settle(&self) {
        self.lock().settle();
    }

    /// Closes all: the machine has ended.
    pub(crate) fn clear(&self) {
        self.set_link(None);
        self.lock().clear();
    }

    /// Tells what is open, by port, and whose ports are not.
    pub(crate) fn describe(&self, machine: &mut Machine) {
        let table = self.lock();
        machine.ports = table.list();
        machine.warnings.extend(table.refusals());
    }
}
