//! `docker pause` and `unpause`: the freezer of the container's cgroup.

use std::sync::Arc;

use warden::protocol::Call;

use super::{Container, State};
use crate::{Engine, Error};

impl Engine {
    /// Freezes a container.
    pub async fn pause_container(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        let container = self.container(name)?;
        let pid = {
            let inner = container.lock();
            match inner.record.state {
                State::Running { pid } => pid,
                State::Paused { .. } => {
                    return Err(Error::Conflict(format!(
                        "Container {} is already paused",
                        container.id
                    )));
                }
                state if state.is_restarting() => {
                    return Err(Error::Conflict(format!(
                        "Container {} is restarting, wait until the container is running",
                        container.id
                    )));
                }
                _ => return Err(Error::not_running(&container.id)),
            }
        };
        let call = Call::Freeze {
            container: container.id.clone(),
            frozen: true,
        };
        self.warden
            .call(call, Vec::new())
            .await
            .map_err(|e| Error::System(format!("cannot pause container {}: {e}", container.id)))?;
        {
            let mut inner = container.lock();
            if inner.record.state == (State::Running { pid }) {
                inner.record.state = State::Paused { pid };
            }
        }
        Self::end_health_checks(&container);
        container.changed();
        self.tell_condition(&container);
        self.container_event(&container, "pause", &[]);
        container.save_or_log().await;
        Ok(())
    }

    /// Thaws a container.
    pub async fn unpause_container(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        let container = self.container(name)?;
        if !matches!(container.lock().record.state, State::Paused { .. }) {
            return Err(Error::System(format!(
                "Container {} is not paused",
                container.id
            )));
        }
        self.let_go_on(&container).await?;
        self.container_event(&container, "unpause", &[]);
        Ok(())
    }

    /// Thaws a container without telling of it.
    pub(super) async fn let_go_on(
        self: &Arc<Self>,
        container: &Arc<Container>,
    ) -> Result<(), Error> {
        let call = Call::Freeze {
            container: container.id.clone(),
            frozen: false,
        };
        self.warden.call(call, Vec::new()).await.map_err(|e| {
            Error::System(format!("Cannot unpause container {}: {e}", container.id))
        })?;
        self.thawed(container);
        container.save_or_log().await;
        Ok(())
    }

    /// Thaws on the way to a stop; a failure shows when the stop runs into its deadline.
    pub(crate) async fn thaw(self: &Arc<Self>, container: &Arc<Container>) {
        let call = Call::Freeze {
            container: container.id.clone(),
            frozen: false,
        };
        self.warden.tell("thaw", call).await;
        self.thawed(container);
    }

    fn thawed(self: &Arc<Self>, container: &Arc<Container>) {
        {
            let mut inner = container.lock();
            if let State::Paused { pid } = inner.record.state {
                inner.record.state = State::Running { pid };
            }
        }
        self.resume_health_checks(container);
        container.changed();
        self.tell_condition(container);
    }
}
