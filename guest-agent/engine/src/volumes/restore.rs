//! `POST /slipway/volumes/{name}/restore`: an archive becomes a volume's files. It is read to its
//! end beside the volume first; the old files are there until then, and gone in one step.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use images::{Extract, Extracted};

use super::staging::{Staged, holds_files, not_staged};
use super::usage::names;
use super::work::Work;
use super::{Volume, still};
use crate::containers::Container;
use crate::containers::stream::feed;
use crate::{Engine, Error, blocking};

/// How to restore.
#[derive(Debug, Clone, Copy, Default)]
pub struct RestoreRequest {
    /// Replace the files of a volume that holds some.
    pub force: bool,
    /// Stop the containers that use it while its files are replaced, and start them again.
    pub stop: bool,
}

/// What was restored.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The volume.
    pub volume: Volume,
    /// It is new.
    pub created: bool,
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Containers that were stopped and started again.
    pub restarted: Vec<String>,
}

impl Engine {
    /// Whether a volume could be restored now.
    pub async fn check_restore(
        self: &Arc<Self>,
        name: &str,
        how: RestoreRequest,
    ) -> Result<(), Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        blocking::run(move || {
            let (volume, _work) = engine.volumes.replacing(&name)?;
            let Some(volume) = volume else {
                return Ok(());
            };
            engine.may_replace(&volume, how.stop)?;
            may_fill(&volume, how, &engine.open_volume(&volume)?)
        })
        .await
    }

    /// Replaces a volume's files by an archive's, or makes the volume. What is left of `content`
    /// after an error is the caller's to read.
    pub async fn restore_volume(
        self: &Arc<Self>,
        name: &str,
        how: RestoreRequest,
        content: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<Restored, Error> {
        let (old, work) = self.volumes.replacing(name)?;
        let (feeder, inlet) = feed();
        let engine = Arc::clone(self);
        let reading = blocking::run(move || {
            let staged = match &old {
                Some(volume) => {
                    engine.may_replace(volume, how.stop)?;
                    let place = engine.open_volume(volume)?;
                    may_fill(volume, how, &place)?;
                    match volume.has_backing() {
                        true => Staged::inside(place)?,
                        false => engine.volumes.stage(Some(volume))?,
                    }
                }
                None => engine.volumes.stage(None)?,
            };
            let extract = Extract {
                whole: true,
                ..Extract::default()
            };
            let root = staged.open()?;
            let extracted = images::extract(inlet, root.as_fd(), &extract).map_err(not_staged)?;
            // What does not fit on the disk is told while the old files are there.
            staged.sync()?;
            Ok((old, staged, extracted))
        });
        let (done, ()) = tokio::join!(reading, feeder.pass(content));
        let (old, staged, extracted) = done?;
        let (engine, name) = (Arc::clone(self), name.to_owned());
        blocking::to_the_end(async move {
            match old {
                Some(volume) => {
                    engine
                        .put_in_place(volume, staged, extracted, how, work)
                        .await
                }
                None => engine.make_of(&name, staged, extracted, work).await,
            }
        })
        .await
    }

    async fn make_of(
        self: &Arc<Self>,
        name: &str,
        staged: Staged,
        extracted: Extracted,
        _work: Work,
    ) -> Result<Restored, Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        let volume = blocking::run(move || engine.volumes.adopt(staged, &name, None)).await?;
        self.volume_event(&volume.name, "create", &[]);
        Ok(restored(volume, true, extracted, Vec::new()))
    }

    async fn put_in_place(
        self: &Arc<Self>,
        volume: Volume,
        staged: Staged,
        extracted: Extracted,
        how: RestoreRequest,
        _work: Work,
    ) -> Result<Restored, Error> {
        let kept = match how.stop {
            true => self.stop_users(&volume.name).await?,
            false => still::Still::default(),
        };
        let restarted = kept.names();
        let engine = Arc::clone(self);
        let replaced = blocking::run(move || {
            // Whoever starts now waits, and finds the new files.
            let alone = engine.mounting();
            engine.may_replace(&volume, false)?;
            may_fill(&volume, how, &staged.target(&volume)?)?;
            staged.replace(&volume)?;
            drop(alone);
            Ok(volume)
        })
        .await;
        self.let_go(kept).await;
        Ok(restored(replaced?, false, extracted, restarted))
    }

    /// Refuses to replace files that somebody needs. Blocks.
    fn may_replace(&self, volume: &Volume, while_running: bool) -> Result<(), Error> {
        let name = &volume.name;
        if volume.is_passing() {
            return Err(Error::Conflict(format!(
                "the volume {name} is in memory, and empty each time its first container starts: restore into another volume, or copy into a container that runs with docker cp"
            )));
        }
        if volume.is_read_only() {
            return Err(Error::Conflict(format!(
                "the volume {name} is mounted read-only, as its option o says: restore into another volume"
            )));
        }
        let users = self.running_users(name);
        if !users.is_empty() && !while_running {
            return Err(Error::Conflict(format!(
                "the volume {name} is used by containers that run: {}. A program would go on with files that are gone: stop them first, or let --stop stop them for the moment of the change and start them again",
                names(&users).join(", ")
            )));
        }
        let leave = |user: &Arc<Container>| user.lock().record.host_config.auto_remove;
        if let Some(user) = users.iter().find(|user| leave(user)) {
            return Err(Error::Conflict(format!(
                "the container {} uses the volume {name} and was made with --rm: stopped, it would be gone; stop it yourself",
                user.lock().record.name
            )));
        }
        Ok(())
    }
}

/// Refuses to replace files that nobody wants replaced. Blocks.
fn may_fill(volume: &Volume, how: RestoreRequest, place: &OwnedFd) -> Result<(), Error> {
    if how.force || !holds_files(place)? {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "the volume {} holds files: with --force the archive's take their place",
        volume.name
    )))
}

fn restored(
    volume: Volume,
    created: bool,
    extracted: Extracted,
    restarted: Vec<String>,
) -> Restored {
    Restored {
        volume,
        created,
        entries: extracted.entries,
        bytes: extracted.bytes,
        restarted,
    }
}
