//! Work on all files of a volume: those who read them (backup, clone) share it, one who replaces
//! them (restore) is alone. Meanwhile nobody removes the volume.

use std::sync::Arc;

use super::store::{Volume, Volumes, check_name};
use crate::Error;

/// What is being done with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// So many read it.
    Reading(usize),
    /// Its files are replaced, or it is being made.
    Replacing,
}

impl Doing {
    /// In words, after "the volume".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Reading(_) => "is being backed up or cloned",
            Self::Replacing => "is being restored or cloned",
        }
    }
}

/// Work under way, until dropped.
#[derive(Debug)]
pub(super) struct Work {
    volumes: Arc<Volumes>,
    name: String,
}

impl Volumes {
    /// Begins to read a volume.
    pub(super) fn reading(self: &Arc<Self>, name: &str) -> Result<(Volume, Work), Error> {
        let mut inner = self.lock();
        let volume = inner
            .known
            .get(name)
            .cloned()
            .ok_or_else(|| no_such_volume(name))?;
        let readers = match inner.at_work.get(name) {
            None => 0,
            Some(Doing::Reading(readers)) => *readers,
            Some(doing) => return Err(busy(name, *doing)),
        };
        inner
            .at_work
            .insert(name.to_owned(), Doing::Reading(readers + 1));
        Ok((volume, self.work(name)))
    }

    /// Begins to replace a volume's files, or to make the volume: then there is none yet.
    pub(super) fn replacing(self: &Arc<Self>, name: &str) -> Result<(Option<Volume>, Work), Error> {
        check_name(name)?;
        let mut inner = self.lock();
        if let Some(doing) = inner.at_work.get(name) {
            return Err(busy(name, *doing));
        }
        inner.at_work.insert(name.to_owned(), Doing::Replacing);
        Ok((inner.known.get(name).cloned(), self.work(name)))
    }

    fn work(self: &Arc<Self>, name: &str) -> Work {
        Work {
            volumes: Arc::clone(self),
            name: name.to_owned(),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut inner = self.volumes.lock();
        match inner.at_work.get_mut(&self.name) {
            Some(Doing::Reading(readers)) if *readers > 1 => *readers -= 1,
            _ => drop(inner.at_work.remove(&self.name)),
        }
    }
}

fn busy(name: &str, doing: Doing) -> Error {
    Error::Conflict(format!(
        "the volume {name} {} now: try again when that is done",
        doing.words()
    ))
}

/// Docker's words.
pub(super) fn no_such_volume(name: &str) -> Error {
    Error::NotFound(format!("get {name}: no such volume"))
}
