//! The machine goes down: containers are stopped in parallel, then the warden powers off.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use warden::protocol::Call;

use crate::engine::Machine;
use crate::{Engine, Error, blocking};

impl Engine {
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::SeqCst)
    }

    /// Stops all containers, each with its own grace but none longer than `timeout`, so that they
    /// start again by their policies next time.
    pub async fn stop_all(self: &Arc<Self>, timeout: Duration) {
        self.shutting_down.store(true, Ordering::SeqCst);
        let stops: Vec<_> = self
            .all_containers()
            .into_iter()
            .map(|container| {
                let engine = Arc::clone(self);
                tokio::spawn(async move {
                    let runs = container.lock().record.state.is_running();
                    if runs && let Err(error) = engine.stop_found(&container, None, None).await {
                        tracing::warn!(container = container.id, %error, "stopping it failed");
                    }
                    container.settled().await;
                })
            })
            .collect();
        let all = async {
            for stop in stops {
                // A task that failed has said why.
                let _ = stop.await;
            }
        };
        if tokio::time::timeout(timeout, all).await.is_err() {
            tracing::warn!("some containers did not stop in time and are killed");
        }
    }

    /// Takes bridge and firewall off the host; in the virtual machine they go with the kernel.
    async fn close_network(&self) {
        let Some(network) = self.network.get().cloned() else {
            return;
        };
        if self.options.machine == Machine::Vm {
            return;
        }
        let closed = blocking::run(move || network.close().map_err(Error::from)).await;
        if let Err(error) = closed {
            tracing::warn!(%error, "the network is left on the host");
        }
    }

    /// Spares the next start the check of images that came in a moment ago.
    async fn settle_images(self: &Arc<Self>) {
        let Some(store) = self.store.get().cloned() else {
            return;
        };
        let settled = blocking::run(move || store.settle().map_err(Error::from)).await;
        if let Err(error) = settled {
            tracing::warn!(%error, "new images could not be brought to the disk");
        }
    }

    /// Stops all containers and has the warden power the machine off (natively: end).
    pub async fn power_off(self: &Arc<Self>, timeout: Duration) {
        // The state may still be read; containers that aren't known yet are the warden's to kill.
        let _ = tokio::time::timeout(timeout, self.ready()).await;
        self.stop_all(timeout).await;
        self.close_network().await;
        self.settle_images().await;
        self.warden.tell("power off", Call::PowerOff).await;
    }
}
