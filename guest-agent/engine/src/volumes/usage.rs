//! Which containers use a volume.

use std::sync::Arc;

use crate::Engine;
use crate::containers::{Container, State};

impl Engine {
    /// Ids of the containers that use a volume, running or not.
    pub(crate) fn volume_users(&self, name: &str) -> Vec<String> {
        self.all_containers()
            .iter()
            .filter(|container| {
                let inner = container.lock();
                inner.record.mounts.iter().any(|point| point.is_of(name))
            })
            .map(|container| container.id.clone())
            .collect()
    }

    /// The containers that use it and run, or are about to.
    pub(super) fn running_users(&self, name: &str) -> Vec<Arc<Container>> {
        let mut users = self.all_containers();
        users.retain(|container| {
            let inner = container.lock();
            let record = &inner.record;
            (record.state.is_running() || matches!(record.state, State::Starting { .. }))
                && record.mounts.iter().any(|point| point.is_of(name))
        });
        users
    }

    /// Whether there is one.
    pub(super) fn is_volume_running(&self, name: &str) -> bool {
        !self.running_users(name).is_empty()
    }
}

/// Their names, for messages.
pub(super) fn names(containers: &[Arc<Container>]) -> Vec<String> {
    let mut names: Vec<String> = containers
        .iter()
        .map(|container| container.lock().record.name.clone())
        .collect();
    names.sort();
    names
}
