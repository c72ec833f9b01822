//! Removing and pruning images.

use std::collections::BTreeMap;
use std::sync::Arc;

use images::{Image, Reference, RemoveOptions, Removed};

use super::list::created;
use crate::containers::Pruned;
use crate::events::Subject;
use crate::filters::Filters;
use crate::{Engine, Error, blocking};

impl Engine {
    /// Removes a name, and the image with its last one.
    pub async fn remove_image(
        self: &Arc<Self>,
        name: &str,
        force: bool,
        no_prune: bool,
        by: &str,
    ) -> Result<Vec<Removed>, Error> {
        let engine = Arc::clone(self);
        let (name, by) = (name.to_owned(), by.to_owned());
        blocking::run(move || {
            let store = engine.store()?;
            let image = store.resolve(&name)?;
            let options = RemoveOptions { force, no_prune };
            let removal = store.remove(&name, options, &by, engine.image_users())?;
            engine.removal_events(&image, &removal.steps);
            Ok(removal.steps)
        })
        .await
    }

    fn removal_events(&self, image: &Image, removed: &[Removed]) {
        let id = image.id.to_string();
        for step in removed {
            match step {
                // Digests go without a word.
                Removed::Untagged(name) if name.contains('@') => {}
                Removed::Untagged(_) => {
                    self.labelled_image_event("untag", &id, &id, image.config.labels());
                }
                // Layers have no events of their own.
                Removed::Deleted(what) if *what == id => {
                    self.image_event("delete", what, what);
                }
                Removed::Deleted(_) => {}
            }
        }
    }

    /// Removes images without a tag (or, with the filter `dangling=false`, all that no container
    /// uses, and names that none was made with), but for those that a name stood for so lately that
    /// they are kept.
    pub async fn prune_images(
        self: &Arc<Self>,
        filters: Filters,
        by: &str,
    ) -> Result<(Vec<Removed>, Pruned), Error> {
        filters.accept_only(&["dangling", "label", "label!", "until"])?;
        let only_dangling = filters.flag("dangling")?.unwrap_or(true);
        // dockerd takes this for a fault of its own.
        let until = filters
            .until()
            .map_err(|error| Error::System(error.to_string()))?;
        let _only_one = self.only_prune()?;
        let engine = Arc::clone(self);
        let by = by.to_owned();
        let (steps, pruned) = blocking::run(move || {
            let store = engine.store()?;
            let users = engine.image_users();
            let kept = store.retained();
            let mut steps = Vec::new();
            let mut pruned = Pruned::default();
            for image in store.list()? {
                let skip = (only_dangling && !image.repo_tags.is_empty())
                    || kept.contains(&image.id)
                    || !filters.labels(&image.config.labels())
                    || until.is_some_and(|until| created(&image).is_none_or(|time| time > until));
                if skip {
                    continue;
                }
                let names = match users(&image.id).is_empty() {
                    true => all_names(&image),
                    false if only_dangling => continue,
                    false => spare_names(&image, &engine.calls(&image)),
                };
                for name in names {
                    let options = RemoveOptions::default();
                    // It may have gone with the name before, or be in use by now.
                    let Ok(removal) = store.remove(&name, options, &by, engine.image_users())
                    else {
                        continue;
                    };
                    engine.removal_events(&image, &removal.steps);
                    pruned.reclaimed += removal.freed;
                    let gone = Removed::Deleted(image.id.to_string());
                    if removal.steps.contains(&gone) {
                        pruned.deleted.push(image.id.to_string());
                    }
                    steps.extend(removal.steps);
                }
            }
            Ok((steps, pruned))
        })
        .await?;
        let reclaimed = BTreeMap::from([("reclaimed".into(), pruned.reclaimed.to_string())]);
        self.events.publish(Subject::Image, "prune", "", reclaimed);
        Ok((steps, pruned))
    }

    /// What the containers that use an image call it, as whoever made them wrote it.
    fn calls(&self, image: &Image) -> Vec<String> {
        let id = image.id.to_string();
        let mut calls = Vec::new();
        for container in self.all_containers() {
            let inner = container.lock();
            let record = &inner.record;
            if record.image == id {
                calls.push(record.config.image.clone());
            }
            let mounted = record.mounts.iter().filter(|mount| mount.image == id);
            calls.extend(mounted.map(|mount| mount.name.clone()));
        }
        calls
    }
}

fn all_names(image: &Image) -> Vec<String> {
    let mut names = image.repo_tags.clone();
    names.extend(image.repo_digests.iter().cloned());
    if names.is_empty() {
        names.push(image.id.to_string());
    }
    names
}

/// The names of a used image that nobody used. One stays in any case, as an image may be called by
/// its id, or by a name that means another by now.
fn spare_names(image: &Image, calls: &[String]) -> Vec<String> {
    let parse = |names: &[String]| -> Vec<Reference> {
        let names = names.iter();
        names
            .filter_map(|name| Reference::parse(name).ok())
            .collect()
    };
    let tags = parse(&image.repo_tags);
    // A repository's digests go with its last tag.
    let mut digests = parse(&image.repo_digests);
    digests.retain(|digest| tags.iter().all(|tag| tag.name() != digest.name()));
    let calls = parse(calls);
    // A digest alone means all tags of its repository.
    let fits = |tag: Option<&str>, call: &Reference| call.tag().is_none() || call.tag() == tag;
    let is_called = |name: &Reference| {
        let mut calls = calls.iter().filter(|call| call.name() == name.name());
        calls.any(|call| name.digest().is_some() || fits(name.tag(), call))
    };
    let mut names = [tags, digests].concat();
    names.sort_by_cached_key(Reference::to_string);
    let count = names.len();
    names.retain(|name| !is_called(name));
    if names.len() == count {
        names.pop();
    }
    names.iter().map(Reference::familiar).collect()
}
