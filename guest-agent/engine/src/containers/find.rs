//! Which containers there are, by id, name or unique id prefix.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::names;
use super::{Container, Snapshot};
use crate::{Engine, Error, ids};

/// All containers and the names they hold.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_id: BTreeMap<String, Arc<Container>>,
    names: HashMap<String, String>,
}

impl Index {
    /// Adds a container under the name it already reserved.
    pub(crate) fn insert(&mut self, container: Arc<Container>) {
        self.by_id.insert(container.id.clone(), container);
    }

    /// Takes a container and its names out.
    pub(crate) fn remove(&mut self, id: &str) {
        self.by_id.remove(id);
        self.names.retain(|_, holder| holder != id);
    }

    /// Gives up a name, if `id` holds it.
    pub(crate) fn release_name(&mut self, name: &str, id: &str) {
        if self.names.get(name).is_some_and(|holder| holder == id) {
            self.names.remove(name);
        }
    }

    /// Takes `name` (with or without its slash) for `id`; returns it without the slash.
    pub(crate) fn reserve_name(&mut self, name: &str, id: &str) -> Result<String, Error> {
        let bare = name.strip_prefix('/').unwrap_or(name);
        if !names::is_valid(bare) {
            return Err(Error::Invalid(format!(
                "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
        if let Some(holder) = self.names.get(bare)
            && holder != id
        {
            return Err(Error::Conflict(format!(
                "Conflict. The container name \"/{bare}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
            )));
        }
        self.names.insert(bare.to_owned(), id.to_owned());
        Ok(bare.to_owned())
    }

    /// Takes a random name for `id`.
    pub(crate) fn reserve_random_name(&mut self, id: &str) -> Result<String, Error> {
        for retry in 0..6 {
            let name = names::random_name(retry)?;
            if !self.names.contains_key(&name) {
                return self.reserve_name(&name, id);
            }
        }
        self.reserve_name(ids::short(id), id)
    }

    /// All containers, in order of id.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.by_id.values().cloned().collect()
    }

    fn find(&self, name: &str) -> Result<Arc<Container>, Error> {
        if name.is_empty() {
            return Err(Error::Invalid("invalid name or ID supplied: \"\"".into()));
        }
        if let Some(container) = self.by_id.get(name) {
            return Ok(Arc::clone(container));
        }
        let bare = name.strip_prefix('/').unwrap_or(name);
        if let Some(container) = self.names.get(bare).and_then(|id| self.by_id.get(id)) {
            return Ok(Arc::clone(container));
        }
        let mut matches = self
            .by_id
            .range(name.to_owned()..)
            .take_while(|(id, _)| id.starts_with(name))
            .map(|(_, container)| container);
        match (matches.next(), matches.next()) {
            (Some(container), None) => Ok(Arc::clone(container)),
            (Some(_), Some(_)) => Err(Error::Invalid(format!(
                "multiple IDs found with provided prefix: {name}"
            ))),
            (None, _) => Err(Error::no_such_container(name)),
        }
    }
}

impl Engine {
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The container with that id, name or unique id prefix.
    pub(crate) fn container(&self, name: &str) -> Result<Arc<Container>, Error> {
        self.index().find(name)
    }

    /// The container's present state, for `inspect`.
    pub fn inspect_container(&self, name: &str) -> Result<Snapshot, Error> {
        let mut snapshot = self.container(name)?.snapshot();
        self.show_links(&mut snapshot);
        Ok(snapshot)
    }
}
