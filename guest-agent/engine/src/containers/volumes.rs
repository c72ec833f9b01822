//! The volumes of a container: made or found at its creation, told of in events, removed with it
//! when nobody has named them.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Container, MountPoint, files};
use crate::volumes::{self, Hold, Volume};
use crate::{Engine, Error, blocking};

/// The volumes of a container that is being made; nobody can remove them meanwhile.
#[derive(Debug, Default)]
pub(super) struct Provided {
    holds: Vec<Hold>,
    /// Those to fill, and which part of them is mounted where.
    empty: Vec<(Volume, String, String)>,
    /// Those that this container made and nobody has named.
    new: Vec<String>,
}

impl Provided {
    /// Fills volumes that are empty from the new container's layers (topmost first). Blocks.
    pub(super) fn fill(&self, engine: &Engine, layers: &[PathBuf]) -> Result<(), Error> {
        if self.empty.is_empty() {
            return Ok(());
        }
        let files = files::merged(layers)?;
        for (volume, subpath, destination) in &self.empty {
            volumes::fill(engine, volume, subpath, destination, files.as_fd())?;
        }
        Ok(())
    }

    /// Removes what was made for a container that could not be made.
    pub(super) fn undo(mut self, engine: &Engine) {
        self.holds.clear();
        for name in &self.new {
            engine.remove_unused_volume(name);
        }
    }
}

impl Engine {
    /// Makes or finds the volumes of mounts, and puts their places into these. Blocks.
    pub(super) fn provide_volumes(&self, points: &mut [MountPoint]) -> Result<Provided, Error> {
        let mut provided = Provided::default();
        for point in points.iter_mut().filter(|point| point.kind == "volume") {
            let (request, nocopy) = match point.wish.take() {
                Some(wish) => (wish.request, wish.nocopy),
                // Of another container: there already, and filled.
                None => (
                    crate::VolumeRequest {
                        name: point.name.clone(),
                        ..crate::VolumeRequest::default()
                    },
                    true,
                ),
            };
            let (volume, new, hold) = match self.ensure_volume(request) {
                Ok(made) => made,
                Err(error) => {
                    provided.undo(self);
                    return Err(error);
                }
            };
            point.name.clone_from(&volume.name);
            point.source = volume.mountpoint.display().to_string();
            provided.holds.push(hold);
            if new && point.anonymous {
                provided.new.push(volume.name.clone());
            }
            if !nocopy {
                let (subpath, destination) = (point.subpath.clone(), point.destination.clone());
                provided.empty.push((volume, subpath, destination));
            }
        }
        Ok(provided)
    }

    /// Unmounts what only this container needed, at its end.
    pub(super) async fn release_volumes(self: &Arc<Self>, container: &Arc<Container>) {
        let mounted = |point: &MountPoint| point.kind == "volume";
        if !container.lock().record.mounts.iter().any(mounted) {
            return;
        }
        let (engine, container) = (Arc::clone(self), Arc::clone(container));
        let released = blocking::run(move || {
            engine.unmount_volumes(&container);
            Ok(())
        });
        // What could not be unmounted has been logged.
        let _ = released.await;
    }

    /// Removes the volumes of a container that is gone, as far as nobody has named them. Blocks.
    pub(super) fn remove_volumes_of(&self, container: &Container) {
        let points = container.lock().record.mounts.clone();
        for point in points.iter().filter(|point| point.kind == "volume") {
            if point.anonymous {
                self.remove_unused_volume(&point.name);
            }
        }
    }

    /// Removes a volume unless another container uses it.
    fn remove_unused_volume(&self, name: &str) {
        match self.remove_volume_blocking(name) {
            Ok(_) | Err(Error::Conflict(_) | Error::NotFound(_)) => {}
            Err(error) => tracing::warn!(volume = name, %error, "removing it failed"),
        }
    }

    /// Publishes that a container's volumes are mounted (`mount`) or not any more (`unmount`).
    pub(crate) fn volume_events(&self, container: &Container, action: &str) {
        let points = container.lock().record.mounts.clone();
        for point in points.iter().filter(|point| point.kind == "volume") {
            let mut more = vec![("container", container.id.clone())];
            if action == "mount" {
                more.extend([
                    ("destination", point.destination.clone()),
                    ("propagation", point.propagation.clone()),
                    ("read/write", point.rw.to_string()),
                ]);
            }
            self.volume_event(&point.name, action, &more);
        }
    }
}
