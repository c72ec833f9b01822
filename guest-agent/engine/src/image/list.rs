//! `docker images`.

use std::collections::BTreeSet;
use std::sync::Arc;

use images::{Digest, Image, ImageManifest, Reference};

use crate::filters::{Filters, moment};
use crate::time::Time;
use crate::{Engine, Error, blocking};

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Those that pass.
    pub filters: Filters,
    /// Those without a name that others were made from, too.
    pub all: bool,
    /// Find out what each shares with others.
    pub shared_size: bool,
    /// Tell the manifests.
    pub manifests: bool,
}

/// An image of the list.
#[derive(Debug, Clone)]
pub struct ListedImage {
    /// The image, with the names that passed.
    pub image: Image,
    /// The ids of the containers that use it.
    pub containers: Vec<String>,
    /// Bytes of layers that another image has, too, if they were asked for.
    pub shared_size: Option<u64>,
    /// Its manifest, if it was asked for.
    pub manifest: Option<ImageManifest>,
}

/// The time limits of the filters.
#[derive(Default)]
struct Limits {
    before: Option<Time>,
    since: Option<Time>,
}

impl Engine {
    /// The images, the newest first, that pass the filters.
    pub async fn list_images(
        self: &Arc<Self>,
        request: ListRequest,
    ) -> Result<Vec<ListedImage>, Error> {
        request.filters.accept_only(&[
            "dangling",
            "label",
            "before",
            "since",
            "reference",
            "until",
        ])?;
        let engine = Arc::clone(self);
        blocking::run(move || engine.listed(&request)).await
    }

    pub(crate) fn listed(&self, request: &ListRequest) -> Result<Vec<ListedImage>, Error> {
        let filters = &request.filters;
        let dangling = filters.flag("dangling")?;
        let patterns = filters.get("reference");
        let limits = self.limits_of(filters)?;
        let store = self.store()?;
        let users = self.image_users();
        let shared = request.shared_size.then(|| store.usage().shared);
        let mut found = Vec::new();
        let images = store.list()?;
        let parents: BTreeSet<Digest> = images.iter().filter_map(|image| image.parent).collect();
        for mut image in images {
            let has_children = parents.contains(&image.id);
            if !limits.fit(&image) || !filters.labels(&image.config.labels()) {
                continue;
            }
            if dangling == Some(true) && has_children {
                continue;
            }
            if !patterns.is_empty() {
                check_patterns(patterns, &image)?;
                for names in [&mut image.repo_tags, &mut image.repo_digests] {
                    names.retain(|name| patterns.iter().any(|p| is_match(p, name)));
                }
            }
            if image.repo_tags.is_empty() && image.repo_digests.is_empty() {
                let hidden = has_children && !request.all;
                if hidden || dangling == Some(false) || !patterns.is_empty() {
                    continue;
                }
            } else if dangling == Some(true) && !image.repo_tags.is_empty() {
                continue;
            }
            let uses = users(&image.id);
            found.push(ListedImage {
                containers: uses.into_iter().map(|user| user.container_id).collect(),
                shared_size: shared
                    .as_ref()
                    .map(|shared| shared.get(&image.id).copied().unwrap_or(0)),
                manifest: if request.manifests {
                    Some(store.manifest(&image)?)
                } else {
                    None
                },
                image,
            });
        }
        Ok(found)
    }

    fn limits_of(&self, filters: &Filters) -> Result<Limits, Error> {
        let store = self.store()?;
        let mut limits = Limits::default();
        for name in filters.get("before") {
            limits.before = earlier(limits.before, created(&store.resolve(name)?));
        }
        for text in filters.get("until") {
            // dockerd takes this for a fault of its own.
            let time = moment(text).map_err(|error| Error::System(error.to_string()))?;
            limits.before = earlier(limits.before, Some(time));
        }
        for name in filters.get("since") {
            let time = created(&store.resolve(name)?);
            limits.since = match (limits.since, time) {
                (Some(known), Some(time)) => Some(known.max(time)),
                (known, time) => known.or(time),
            };
        }
        Ok(limits)
    }
}

impl Limits {
    fn fit(&self, image: &Image) -> bool {
        let time = created(image);
        self.before
            .is_none_or(|limit| time.is_some_and(|time| time < limit))
            && self
                .since
                .is_none_or(|limit| time.is_some_and(|time| time > limit))
    }
}

fn earlier(known: Option<Time>, time: Option<Time>) -> Option<Time> {
    match (known, time) {
        (Some(known), Some(time)) => Some(known.min(time)),
        (known, time) => known.or(time),
    }
}

/// When an image was made.
pub(super) fn created(image: &Image) -> Option<Time> {
    image.created.as_deref().and_then(|text| text.parse().ok())
}

/// A pattern is looked at once there is a name to compare it with.
fn check_patterns(patterns: &[String], image: &Image) -> Result<(), Error> {
    let named = !(image.repo_tags.is_empty() && image.repo_digests.is_empty());
    if named
        && patterns
            .iter()
            .any(|pattern| !is_pattern(pattern.as_bytes()))
    {
        return Err(Error::System("syntax error in pattern".into()));
    }
    Ok(())
}

/// Whether Go can read a pattern: classes end and are not empty, and something follows a backslash.
fn is_pattern(pattern: &[u8]) -> bool {
    match pattern.split_first() {
        None => true,
        Some((b'\\', rest)) => !rest.is_empty() && is_pattern(&rest[1..]),
        Some((b'[', rest)) => {
            let rest = rest.strip_prefix(b"^").unwrap_or(rest);
            let starts = !matches!(rest.first(), None | Some(b'-' | b']'));
            starts && class(rest, 0).is_some_and(|(_, rest)| is_pattern(rest))
        }
        Some((_, rest)) => is_pattern(rest),
    }
}

/// Docker's `reference` filter: a pattern for the whole name or for the name without its tag.
fn is_match(pattern: &str, name: &str) -> bool {
    let bare = Reference::parse(name).map_or_else(|_| name.to_owned(), |r| r.familiar_name());
    glob(pattern.as_bytes(), name.as_bytes()) || glob(pattern.as_bytes(), bare.as_bytes())
}

/// Go's `path.Match`: `*` and `?` stop at slashes, `[a-z]` and `[^a-z]` are classes.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(c, tail)| *c != b'/' && glob(pattern, tail))
        }
        (Some((b'?', rest)), Some((c, tail))) => *c != b'/' && glob(rest, tail),
        (Some((b'[', rest)), Some((c, tail))) => match class(rest, *c) {
            Some((true, rest)) => *c != b'/' && glob(rest, tail),
            _ => false,
        },
        (Some((b'\\', rest)), Some((c, tail))) => match rest.split_first() {
            Some((p, rest)) => p == c && glob(rest, tail),
            None => false,
        },
        (Some((p, rest)), Some((c, tail))) => p == c && glob(rest, tail),
        _ => false,
    }
}

/// Whether a class holds a character, and what follows the class.
fn class(pattern: &[u8], character: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match pattern.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut holds = false;
    let mut first = true;
    loop {
        let (&low, after) = rest.split_first()?;
        if low == b']' && !first {
            return Some((holds != negated, after));
        }
        first = false;
        rest = after;
        let mut high = low;
        if let [b'-', end, tail @ ..] = rest
            && *end != b']'
        {
            high = *end;
            rest = tail;
        }
        holds |= (low..=high).contains(&character);
    }
}

#[cfg(test)]
mod tests {
    use super::{is_match, is_pattern};

    #[test]
    fn patterns_are_gos() {
        for good in ["", "a*", "[a-z]", "[^a]x", "a\\*"] {
            assert!(is_pattern(good.as_bytes()), "{good}");
        }
        for bad in ["[", "a[b", "[]", "[]a]", "\\", "[-]"] {
            assert!(!is_pattern(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn references_match_by_pattern() {
        for (pattern, name) in [
            ("busy*", "busybox:latest"),
            ("busybox:1.?", "busybox:1.2"),
            ("*/*", "a/b:1"),
            ("busybox", "busybox:1"),
            ("[a-c]usybox:[^2]", "busybox:1"),
            ("localhost:5000/x", "localhost:5000/x:1"),
        ] {
            assert!(is_match(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*", "a/b:1"), ("busybox:[^1]", "busybox:1"), ("[", "a:1")] {
            assert!(!is_match(pattern, name), "{pattern} {name}");
        }
    }
}
