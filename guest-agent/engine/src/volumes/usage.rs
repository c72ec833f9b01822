//! Which containers use a volume.

use crate::Engine;

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

    /// Whether a container that runs uses it.
    pub(super) fn is_volume_running(&self, name: &str) -> bool {
        self.all_containers().iter().any(|container| {
            let inner = container.lock();
            inner.record.state.is_running()
                && inner.record.mounts.iter().any(|point| point.is_of(name))
        })
    }
}
