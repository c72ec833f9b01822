//! Containers that are kept from a volume for a moment: frozen while its files are read, or
//! stopped while they are replaced. A note says which, so that an engine that dies in between lets
//! them go when it is back.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::usage::names;
use crate::containers::{Container, State};
use crate::{Engine, Error, blocking, ids, state_file};

/// What was done to the containers, and is to be undone.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// Frozen.
    #[default]
    Paused,
    /// Stopped.
    Stopped,
}

/// What the note says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    how: How,
    containers: Vec<String>,
}

/// Containers that are kept away. To be given to [`Engine::let_go`].
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Still {
    how: How,
    containers: Vec<Arc<Container>>,
    note: Option<PathBuf>,
}

impl Still {
    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<String> {
        names(&self.containers)
    }
}

impl Engine {
    /// Freezes the containers that use a volume. Not to be cancelled.
    pub(super) async fn pause_users(self: &Arc<Self>, volume: &str) -> Result<Still, Error> {
        self.keep_away(volume, How::Paused).await
    }

    /// Stops them. Not to be cancelled.
    pub(super) async fn stop_users(self: &Arc<Self>, volume: &str) -> Result<Still, Error> {
        self.keep_away(volume, How::Stopped).await
    }

    async fn keep_away(self: &Arc<Self>, volume: &str, how: How) -> Result<Still, Error> {
        let mut users = self.running_users(volume);
        if how == How::Paused {
            // Others are still already, and somebody else's.
            users.retain(|user| matches!(user.lock().record.state, State::Running { .. }));
        }
        if users.is_empty() {
            return Ok(Still::default());
        }
        let mut still = Still {
            how,
            containers: Vec::new(),
            note: Some(self.note(how, &users).await?),
        };
        for user in users {
            let done = match how {
                How::Paused => self.pause_container(&user.id).await,
                How::Stopped => self.stop_container(&user.id, None, None).await,
            };
            match done {
                Ok(()) => still.containers.push(user),
                // It has ended by itself, or somebody else has just paused it.
                Err(Error::Conflict(_) | Error::NotModified | Error::NotFound(_)) => {}
                Err(error) => {
                    self.let_go(still).await;
                    return Err(error);
                }
            }
        }
        Ok(still)
    }

    async fn note(&self, how: How, users: &[Arc<Container>]) -> Result<PathBuf, Error> {
        let path = self.notes().join(ids::random_id()?);
        let note = Note {
            how,
            containers: users.iter().map(|user| user.id.clone()).collect(),
        };
        let text = serde_json::to_vec(&note)
            .map_err(|e| Error::System(format!("writing which containers are paused: {e}")))?;
        blocking::run(move || {
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir).map_err(|e| Error::file("creating", dir, e))?;
            }
            state_file::write_behind(&path, &text)?;
            Ok(path)
        })
        .await
    }

    /// Lets containers go on.
    pub(super) async fn let_go(self: &Arc<Self>, still: Still) {
        for container in &still.containers {
            let done = match still.how {
                How::Paused => self.unpause_container(&container.id).await,
                How::Stopped => self.start_container(&container.id).await,
            };
            match done {
                Ok(()) | Err(Error::NotFound(_) | Error::NotModified) => {}
                // Most likely somebody has let it go or stopped it meanwhile.
                Err(error) => tracing::warn!(container = container.id, %error, "letting it go"),
            }
        }
        if let Some(note) = still.note {
            forget(&note);
        }
    }

    /// Lets go what an engine that died has kept away.
    pub(crate) async fn let_all_go(self: &Arc<Self>) {
        let Ok(notes) = std::fs::read_dir(self.notes()) else {
            return;
        };
        for path in notes.filter_map(Result::ok).map(|entry| entry.path()) {
            let note: Note = std::fs::read(&path)
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok())
                .unwrap_or_default();
            for id in &note.containers {
                let Ok(container) = self.container(id) else {
                    continue;
                };
                match note.how {
                    // Frozen perhaps, whatever the record says.
                    How::Paused => {
                        self.thaw(&container).await;
                        container.save_or_log().await;
                    }
                    How::Stopped => {
                        let engine = Arc::clone(self);
                        tokio::spawn(async move {
                            if let Err(error) = engine.start_container(&container.id).await {
                                tracing::warn!(container = container.id, %error, "letting it go");
                            }
                        });
                    }
                }
            }
            forget(&path);
        }
    }

    /// Where notes are: they end with the machine, as the containers' processes do.
    fn notes(&self) -> PathBuf {
        self.options.run.join("kept-still")
    }
}

fn forget(note: &std::path::Path) {
    if let Err(error) = std::fs::remove_file(note) {
        tracing::warn!(%error, path = %note.display(), "removing it failed");
    }
}
