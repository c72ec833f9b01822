//! `docker rm`, and the end of containers that were created with `--rm`.

use std::sync::Arc;

use super::{Container, State};
use crate::{Engine, Error, blocking};

/// How a client wants it removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveRequest {
    /// Kill it if it runs.
    pub force: bool,
    /// Its volumes too, as far as nobody has named them.
    pub volumes: bool,
    /// Only a link; see [`Engine::remove_by_link`].
    pub link: bool,
}

impl Engine {
    /// Removes a container.
    pub async fn remove_container(
        self: &Arc<Self>,
        name: &str,
        request: RemoveRequest,
    ) -> Result<(), Error> {
        let container = self.container(name)?;
        if request.link {
            return Err(Error::System(
                "Conflict, cannot remove the default link name of the container".into(),
            ));
        }
        let prefix = format!("cannot remove container \"{name}\": ");
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            engine
                .remove_found(&container, request.force, request.volumes)
                .await
                .map_err(|e| match e {
                    Error::Conflict(message) if message.starts_with("removal of container") => {
                        Error::Conflict(message)
                    }
                    e => e.prefixed(&prefix),
                })
        })
        .await
    }

    /// Removes a container whose `--rm` has come due.
    pub(crate) async fn auto_remove(self: &Arc<Self>, container: &Arc<Container>) {
        match self.remove_found(container, true, true).await {
            // Somebody else is at it.
            Ok(()) | Err(Error::Conflict(_)) => {}
            Err(error) => {
                tracing::error!(container = container.id, %error, "removing it after its end");
            }
        }
    }

    pub(crate) async fn remove_found(
        self: &Arc<Self>,
        container: &Arc<Container>,
        force: bool,
        volumes: bool,
    ) -> Result<(), Error> {
        container
            .until(|inner| {
                if inner.removing || inner.removed {
                    return Some(Err(Error::Conflict(format!(
                        "removal of container {} is already in progress",
                        container.id
                    ))));
                }
                match inner.record.state {
                    State::Starting { .. } => return None,
                    State::Paused { .. } if !force => {
                        return Some(Err(Error::Conflict(
                            "container is paused and must be unpaused first".into(),
                        )));
                    }
                    state if state.is_running() && !force => {
                        let word = match state {
                            State::Restarting => "restarting",
                            _ => "running",
                        };
                        return Some(Err(Error::Conflict(format!(
                            "container is {word}: stop the container before removing or force remove"
                        ))));
                    }
                    _ => {}
                }
                inner.removing = true;
                Some(Ok(()))
            })
            .await?;
        let removed = self.remove_claimed(container, volumes).await;
        if removed.is_err() {
            container.lock().removing = false;
            container.changed();
        }
        removed
    }

    async fn remove_claimed(
        self: &Arc<Self>,
        container: &Arc<Container>,
        volumes: bool,
    ) -> Result<(), Error> {
        let runs = container.lock().record.state.is_running();
        if runs {
            self.end_found(container, Some(super::signals::KILL), Some(10))
                .await
                .map_err(|e| e.prefixed("could not kill container: "))?;
        }
        let alone = container.files.alone().await;
        container.lock().record.state = State::Dead;
        let _nobody_adds_files = container.log_files.lock().await;
        blocking::here(|| -> Result<(), Error> {
            self.unmount_volumes(container);
            container.erase_blocking()?;
            self.index().remove(&container.id);
            if volumes {
                self.remove_volumes_of(container);
            }
            self.forget_execs_of(container);
            let users = self.image_users();
            if let Err(error) = self.store()?.collect(users) {
                tracing::warn!(%error, "freeing the layers of removed images failed");
            }
            Ok(())
        })?;
        {
            let mut inner = container.lock();
            inner.removed = true;
            inner.early_clients.clear();
        }
        drop(alone);
        self.container_event(container, "destroy", &[]);
        container.changed();
        Ok(())
    }
}
