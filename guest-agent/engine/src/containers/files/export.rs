//! `GET /containers/{id}/export`: the whole root as an archive, without what is mounted on it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use images::{Form, Packer};
use rustix::fs::OFlags;

use super::paths;
use super::stream::{Chunks, Outlet};
use crate::containers::{Container, State};
use crate::{Engine, Error, blocking};

impl Engine {
    /// A container's root as an archive.
    pub async fn export_container(self: &Arc<Self>, name: &str) -> Result<Chunks, Error> {
        let container = self.container(name)?;
        still_there(&container, "export")?;
        let failed = |error: Error| error.prefixed(&format!("Error exporting container {name}: "));
        let view = self.file_view(&container).await.map_err(failed)?;
        let engine = Arc::clone(self);
        blocking::run(move || {
            let root = paths::open(view.bare(), ".", OFlags::RDONLY | OFlags::DIRECTORY).map_err(
                |errno| Error::System(format!("open /: {}", runtime::errno_text(errno))),
            )?;
            let (outlet, chunks) = Outlet::new();
            tokio::task::spawn_blocking(move || {
                let outcome = write(&root, &outlet);
                // The event first: a client that has the whole archive finds it.
                if outcome.is_ok() {
                    engine.container_event(&container, "export", &[]);
                }
                outlet.finish(outcome);
                drop(view);
            });
            Ok(chunks)
        })
        .await
        .map_err(failed)
    }
}

fn write(root: &OwnedFd, outlet: &Outlet) -> Result<(), Error> {
    use std::os::fd::AsFd as _;
    let mut packer = Packer::new(Form::Plain, |piece| outlet.send(piece));
    packer.members(root.as_fd(), b"")?;
    Ok(packer.finish()?)
}

/// Docker's refusal for a container that is going away.
pub(crate) fn still_there(container: &Container, verb: &str) -> Result<(), Error> {
    let inner = container.lock();
    let id = &container.id;
    if inner.record.state == State::Dead {
        return Err(Error::Conflict(format!(
            "You cannot {verb} container {id} which is Dead"
        )));
    }
    if inner.removing || inner.removed {
        return Err(Error::Conflict(format!(
            "You cannot {verb} container {id} which is being removed"
        )));
    }
    Ok(())
}
