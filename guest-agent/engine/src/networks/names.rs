//! Answers to containers' questions for names: those of their neighbours from memory, others from
//! the person's own computer, or from where the machine asks.

mod host;
mod index;
mod server;
mod upstream;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use network::NameSockets;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::host::{NameQuestion, NameQuestions};

use self::host::HostNames;
use self::index::Index;
use super::EndpointSettings;
use crate::Engine;
use crate::containers::Record;
use crate::engine::Machine;

/// How often it is looked whether the machine has its address for names.
const ADDRESS: Duration = Duration::from_millis(50);

/// Who is answered, and from what.
#[derive(Debug, Default)]
pub(crate) struct Names {
    serving: Mutex<HashMap<String, Vec<DropGuard>>>,
    index: Mutex<Option<Arc<Index>>>,
    /// Turns of names that several share.
    turn: std::sync::atomic::AtomicUsize,
    /// The resolver of the person's own computer.
    host: HostNames,
}

impl Names {
    /// Somebody has come or gone: the index is made anew when it is needed.
    pub(crate) fn stale(&self) {
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Engine {
    /// Begins to answer what arrives at these sockets.
    pub(crate) fn serve_names(self: &Arc<Self>, container: &str, sockets: NameSockets) {
        let end = CancellationToken::new();
        server::start(self, Some(container), sockets, end.clone());
        let mut serving = self
            .names
            .serving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        serving
            .entry(container.to_owned())
            .or_default()
            .push(end.drop_guard());
    }

    /// Begins to answer the machine itself, and containers that have no resolver of their own: all ask
    /// at one address of the machine.
    pub(crate) fn serve_machine_names(self: &Arc<Self>) {
        if self.options.machine != Machine::Vm {
            return;
        }
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            // The machine's addresses come while the engine starts.
            loop {
                match NameSockets::of_machine() {
                    // It is answered as long as there is an engine.
                    Ok(Some(sockets)) => {
                        return server::start(&engine, None, sockets, CancellationToken::new());
                    }
                    Ok(None) => tokio::time::sleep(ADDRESS).await,
                    Err(error) => return tracing::warn!(%error, "the machine finds no names"),
                }
            }
        });
    }

    /// Answers a container no more.
    pub(crate) fn stop_names(&self, container: &str) {
        let mut serving = self
            .names
            .serving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        serving.remove(container);
    }

    /// Everybody's names now.
    fn name_index(&self) -> Arc<Index> {
        let mut kept = self
            .names
            .index
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*kept {
            return Arc::clone(index);
        }
        let index = Arc::new(Index::new(self));
        *kept = Some(Arc::clone(&index));
        index
    }

    /// What `host.docker.internal` is for a container.
    fn host_alias(&self, container: Option<&str>) -> Option<IpAddr> {
        if let Some(alias) = self.localhost_alias() {
            return Some(alias);
        }
        let container = self.container(container?).ok()?;
        let inner = container.lock();
        inner
            .record
            .networks
            .values()
            .find_map(|attachment| attachment.endpoint.as_ref()?.ipv4?.gateway)
    }
}

/// The names that others on a network know a container by.
#[must_use]
pub fn dns_names(record: &Record, network: &str) -> Option<Vec<String>> {
    let attachment = record.networks.get(network)?;
    if !attachment.names.is_empty() {
        return Some(attachment.names.clone());
    }
    // A record of an engine that did not write them down.
    let unknown = attachment.network_id.is_empty() || is_nameless(network);
    (!unknown).then(|| names_of(record, &attachment.settings))
}

/// Whether it is one of the networks that have no names.
pub(super) fn is_nameless(network: &str) -> bool {
    matches!(network, "bridge" | "host" | "none")
}

/// The names of a container with those settings of a network.
pub(crate) fn names_of(record: &Record, settings: &EndpointSettings) -> Vec<String> {
    let mut names = vec![record.name.clone()];
    let aliases = settings.aliases.iter().flatten().cloned();
    let more = aliases.chain([
        crate::ids::short(&record.id).to_owned(),
        record.config.hostname.clone(),
    ]);
    for name in more {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Gives a container that runs its new name on all its networks. One that does not run has it there with
/// its next start.
pub(crate) fn rename_there(record: &mut Record) {
    let known = record.clone();
    for attachment in record.networks.values_mut() {
        attachment.names = names_of(&known, &attachment.settings);
    }
}
