//! `docker rmi`: which names go, whether the image goes with them, and who is in the way.
//!
//! The rules and the words are those of Docker's `image_delete.go`.

use std::collections::{BTreeSet, HashSet};

use sha2::{Digest as _, Sha256};

use super::index::{Change, ImageRow, Snapshot};
use super::names::{is_id_of, lookup_key, references, resolve};
use super::versions::{How, Origin, Version};
use crate::{ContainerUse, Digest, Error, Reference, RemoveOptions, Removed, Result};

/// A decided removal: what to change, what became unused, and what to tell.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) change: Change,
    pub(crate) removed: Vec<Removed>,
}

/// Decides what removing `text` means.
pub(crate) fn plan(
    index: &Snapshot,
    text: &str,
    options: RemoveOptions,
    containers: &dyn Fn(&Digest) -> Vec<ContainerUse>,
) -> Result<Plan> {
    let id = resolve(index, text)?;
    let mut names = references(index, &id);
    let users = containers(&id);
    let mut plan = Plan::default();
    let by_name = Reference::parse(text).is_ok_and(|name| {
        names
            .iter()
            .any(|known| known.to_string() == lookup_key(&name))
    });
    if !by_name && is_id_of(&id, text) {
        // An id removes the names too, as long as they are one repository's and at most one tag.
        if single_reference(&names) {
            check(index, &id, &users, &[], options.force)?;
            names.drain(..).for_each(|name| plan.untag(&name));
        }
    } else {
        if !options.force
            && single_reference(&names)
            && let Some(user) = users.first()
        {
            return Err(Error::Conflict(format!(
                "conflict: unable to remove repository reference {text:?} (must force) - container {} is using its referenced image {}",
                short(&user.container_id),
                id.short()
            )));
        }
        let removed = Reference::parse(text)?;
        let key = lookup_key(&removed);
        names.retain(|name| name.to_string() != key);
        plan.untag(&removed);
        let repository = removed.name();
        let tags_left = names
            .iter()
            .any(|name| name.digest().is_none() && name.name() == repository);
        if removed.digest().is_none() && !tags_left {
            // The digests of a repository go with its last tag.
            let (gone, left) = names
                .into_iter()
                .partition(|name| name.name() == repository);
            names = left;
            let gone: Vec<Reference> = gone;
            gone.iter().for_each(|name| plan.untag(name));
        }
        if !names.is_empty() {
            return Ok(plan);
        }
        // The name is gone; a container that uses the image keeps it, without complaint.
        if check(index, &id, &users, &names, options.force).is_err() {
            return Ok(plan);
        }
    }
    check(index, &id, &users, &names, options.force)?;
    names.iter().for_each(|name| plan.untag(name));
    plan.delete(index, &id, !users.is_empty());
    if !options.no_prune {
        plan.delete_parents(index, &id, containers);
    }
    Ok(plan)
}

impl Plan {
    /// Bytes of files that go.
    pub(crate) fn freed(&self, index: &Snapshot) -> u64 {
        let layers = self.change.drop_layers.iter();
        layers
            .filter_map(|layer| index.layers.get(layer))
            .map(|layer| layer.size)
            .sum()
    }

    /// Notes that the names were taken away.
    pub(crate) fn note(&mut self, index: &Snapshot, by: &str) {
        let origin = Origin::new(How::Untag, by);
        for name in &self.change.drop_names {
            if let Some(image) = index.names.get(name)
                && let Some(row) = index.images.get(image)
                && !name.contains('@')
            {
                let version = Version::new(*image, None, &origin, index.size(row), None);
                self.change.put_versions.push((name.clone(), version));
            }
        }
    }

    fn untag(&mut self, name: &Reference) {
        self.change.drop_names.push(lookup_key(name));
        self.removed.push(Removed::Untagged(name.familiar()));
    }

    /// Drops the images below that have no name and that nothing else needs.
    fn delete_parents(
        &mut self,
        index: &Snapshot,
        id: &Digest,
        containers: &dyn Fn(&Digest) -> Vec<ContainerUse>,
    ) {
        let mut child = *id;
        while let Some(parent) = index.images.get(&child).and_then(|row| row.parent) {
            let needed = !index.images.contains_key(&parent)
                || !references(index, &parent).is_empty()
                || !containers(&parent).is_empty()
                || children(index, &parent).any(|other| *other != child);
            if needed {
                return;
            }
            self.delete(index, &parent, false);
            child = parent;
        }
    }

    /// Drops an image. When a stopped container still uses it, its layers stay until
    /// [`crate::Store::collect`] finds them unused.
    fn delete(&mut self, index: &Snapshot, id: &Digest, used: bool) {
        let Some(row) = index.images.get(id) else {
            return;
        };
        self.removed.push(Removed::Deleted(id.to_string()));
        if used {
            self.change.put_images.push((
                *id,
                ImageRow {
                    hidden: true,
                    ..row.clone()
                },
            ));
            return;
        }
        self.change.drop_images.push(*id);
        let kept = |other: &Digest| other != id && !self.change.drop_images.contains(other);
        let kept_chains: HashSet<Digest> = index
            .images
            .iter()
            .filter(|(other, _)| kept(other))
            .flat_map(|(_, row)| chain_ids(&row.layers))
            .collect();
        for chain in chain_ids(&row.layers).into_iter().rev() {
            if !kept_chains.contains(&chain) {
                self.removed.push(Removed::Deleted(chain.to_string()));
            }
        }
        self.change
            .drop_layers
            .extend(unused_layers(index, &self.change.drop_images));
    }
}

/// Drops the hidden images that no container uses any more.
pub(crate) fn collect(index: &Snapshot, users: &dyn Fn(&Digest) -> Vec<ContainerUse>) -> Change {
    let mut change = Change::default();
    for (id, row) in &index.images {
        if row.hidden && users(id).is_empty() {
            change.drop_images.push(*id);
        }
    }
    if !change.drop_images.is_empty() {
        change.drop_layers = unused_layers(index, &change.drop_images);
    }
    change
}

/// The layers that no image has once `dropped` are gone.
fn unused_layers(index: &Snapshot, dropped: &[Digest]) -> BTreeSet<Digest> {
    let kept: HashSet<&Digest> = index
        .images
        .iter()
        .filter(|(id, _)| !dropped.contains(id))
        .flat_map(|(_, row)| &row.layers)
        .collect();
    index
        .layers
        .keys()
        .filter(|layer| !kept.contains(layer))
        .copied()
        .collect()
}

/// Names that one removal may take together: all of one repository, with at most one tag.
fn single_reference(names: &[Reference]) -> bool {
    if names.len() <= 1 {
        return true;
    }
    let tags = names.iter().filter(|name| name.digest().is_none()).count();
    let repositories: HashSet<String> = names.iter().map(Reference::name).collect();
    tags <= 1 && repositories.len() == 1
}

/// The images that were made here from this one.
fn children<'a>(index: &'a Snapshot, id: &'a Digest) -> impl Iterator<Item = &'a Digest> {
    index
        .images
        .iter()
        .filter(move |(_, row)| row.parent == Some(*id) && !row.hidden)
        .map(|(child, _)| child)
}

/// Docker's conflicts: images made from it and a running container always, the others unless
/// forced.
fn check(
    index: &Snapshot,
    id: &Digest,
    users: &[ContainerUse],
    names: &[Reference],
    force: bool,
) -> Result<()> {
    let conflict = |how: &str, why: String| {
        Err(Error::Conflict(format!(
            "conflict: unable to delete {} ({how}) - {why}",
            id.short()
        )))
    };
    if children(index, id).next().is_some() {
        return conflict(
            "cannot be forced",
            "image has dependent child images".to_owned(),
        );
    }
    if let Some(user) = users.iter().find(|user| user.running) {
        let why = format!(
            "image is being used by running container {}",
            short(&user.container_id)
        );
        return conflict("cannot be forced", why);
    }
    if force {
        return Ok(());
    }
    if !names.is_empty() {
        return conflict(
            "must be forced",
            "image is referenced in multiple repositories".to_owned(),
        );
    }
    if let Some(user) = users.first() {
        let why = format!(
            "image is being used by stopped container {}",
            short(&user.container_id)
        );
        return conflict("must be forced", why);
    }
    Ok(())
}

fn short(container_id: &str) -> &str {
    container_id.get(..12).unwrap_or(container_id)
}

/// The OCI chain ids of a stack of layers: what Docker calls a layer in its answers.
fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let chain = match chains.last() {
            None => *diff_id,
            Some(below) => {
                let mut hasher = Sha256::new();
                hasher.update(format!("{below} {diff_id}"));
                Digest::finish(hasher)
            }
        };
        chains.push(chain);
    }
    chains
}
