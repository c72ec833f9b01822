//! `docker volume rm`.

use std::sync::Arc;

use super::work::no_such_volume;
use super::{Volume, store};
use crate::{Engine, Error, blocking, ids};

/// Somebody may have taken the files away before.
fn done_or_gone(done: std::io::Result<()>) -> std::io::Result<()> {
    done.or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

impl Engine {
    /// Removes a volume that no container uses; with `force` it need not exist.
    pub async fn remove_volume(self: &Arc<Self>, name: &str, force: bool) -> Result<(), Error> {
        let engine = Arc::clone(self);
        let name = name.to_owned();
        blocking::run(move || match engine.remove_volume_blocking(&name) {
            Err(Error::NotFound(_)) if force => Ok(()),
            other => other.map(drop),
        })
        .await
    }

    /// The same, on the calling thread. Returns what is gone.
    pub(crate) fn remove_volume_blocking(&self, name: &str) -> Result<Volume, Error> {
        let gone = self.volumes.directory(&format!(".{}", ids::random_id()?));
        let volume = {
            let mut inner = self.volumes.lock();
            let volume = inner
                .known
                .get(name)
                .cloned()
                .ok_or_else(|| no_such_volume(name))?;
            if let Some(doing) = inner.at_work.get(name) {
                return Err(Error::Conflict(format!(
                    "remove {name}: volume is in use - it {}",
                    doing.words()
                )));
            }
            let users = self.volume_users(name);
            if !users.is_empty() || inner.held.contains_key(name) {
                return Err(Error::Conflict(format!(
                    "remove {name}: volume is in use - [{}]",
                    users.join(", ")
                )));
            }
            super::backing::unmount(&volume.mountpoint)?;
            // From here on it is gone: what is left of it is swept away at the next start.
            let dir = self.volumes.directory(name);
            let record = dir.join("volume.json");
            let removed = std::fs::remove_file(&record);
            done_or_gone(removed).map_err(|e| Error::file("removing", &record, e))?;
            let moved = std::fs::rename(&dir, &gone);
            done_or_gone(moved).map_err(|e| Error::file("removing", &dir, e))?;
            inner.known.remove(name);
            volume
        };
        if gone.exists()
            && let Err(error) = store::erase(&gone)
        {
            tracing::warn!(%error, volume = name, "removing its files");
        }
        self.volume_event(name, "destroy", &[]);
        Ok(volume)
    }
}
