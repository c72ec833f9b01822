//! `docker rename`.

use std::sync::Arc;

use crate::{Engine, Error, networks};

impl Engine {
    /// Gives a container another name.
    pub async fn rename_container(self: &Arc<Self>, name: &str, new: &str) -> Result<(), Error> {
        if name.is_empty() || new.is_empty() {
            return Err(Error::Invalid(
                "Neither old nor new names may be empty".into(),
            ));
        }
        let container = self.container(name)?;
        let old = container.lock().record.name.clone();
        if new.strip_prefix('/').unwrap_or(new) == old {
            return Err(Error::Invalid(
                "Renaming a container with the same name as its current name".into(),
            ));
        }
        let reserved = {
            let mut index = self.index();
            let reserved = index
                .reserve_name(&format!("/{}", new.trim_start_matches('/')), &container.id)
                .map_err(|e| e.prefixed("Error when allocating new name: "))?;
            index.release_name(&old, &container.id);
            reserved
        };
        {
            let mut inner = container.lock();
            inner.record.name = reserved;
            if inner.record.state.pid().is_some() {
                networks::rename_there(&mut inner.record);
            }
        }
        self.names.stale();
        container.save().await?;
        self.container_event(&container, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }
}
