//! What each name has stood for: every time a tag is given, moved or removed is kept, with how that
//! came about, so that an earlier image can be found again and put back.

use serde::{Deserialize, Serialize};

use super::rows::{Change, Snapshot};
use super::{Store, import, names};
use crate::{Digest, Error, ImageConfig, Reference, Result};

/// Entries that are kept of one name.
pub(crate) const KEPT_ENTRIES: usize = 200;

/// How a name came to stand for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// From a registry.
    Pull,
    /// From a Dockerfile.
    Build,
    /// From a container.
    Commit,
    /// From an archive of images.
    Load,
    /// From an archive of files.
    Import,
    /// By another name.
    Tag,
    /// By going back.
    Rollback,
    /// The name was taken away.
    Untag,
}

/// Who asks for a change and how it comes about.
#[derive(Debug, Clone)]
pub struct Origin {
    /// How.
    pub how: How,
    /// The client, as it calls itself.
    pub by: String,
    /// What a build was made with.
    pub build: Option<BuildOrigin>,
}

/// What a build was made from and with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct BuildOrigin {
    /// The Dockerfile's path, as the client named it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub dockerfile: String,
    /// The builder and its version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub builder: String,
    /// The source's revision.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Where the source is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
}

impl Origin {
    /// Anything but a build.
    pub fn new(how: How, by: &str) -> Self {
        Self {
            how,
            by: by.to_owned(),
            build: None,
        }
    }
}

/// One entry of a name's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts from one for each name.
    #[serde(skip)]
    pub number: u64,
    /// The image; what the name stood for until then when it was taken away.
    pub image: Digest,
    /// The manifest's digest in the registry, when it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// When, in nanoseconds since 1970.
    pub time: i64,
    /// How.
    pub how: How,
    /// By which client.
    #[serde(default)]
    pub by: String,
    /// The image's size.
    #[serde(default)]
    pub size: u64,
    /// What it was built from, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildOrigin>,
}

/// How many earlier images of each name pruning leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Retention {
    /// The latest so many besides the present one.
    pub versions: u32,
    /// Those that were present within so many days.
    pub days: u32,
}

/// A name's history entry, with whether the image is still here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionState {
    /// The entry.
    pub version: Version,
    /// The image is here and can be gone back to.
    pub available: bool,
    /// The name stands for it now.
    pub current: bool,
}

impl Version {
    pub(crate) fn new(
        image: Digest,
        digest: Option<Digest>,
        origin: &Origin,
        size: u64,
        config: Option<&ImageConfig>,
    ) -> Self {
        Self {
            number: 0,
            image,
            digest,
            time: import::now(),
            how: origin.how,
            by: origin.by.clone(),
            size,
            build: build_of(origin, config),
        }
    }
}

/// What the origin says, or the image's own labels.
fn build_of(origin: &Origin, config: Option<&ImageConfig>) -> Option<BuildOrigin> {
    let labels = config.map(ImageConfig::labels).unwrap_or_default();
    let label = |name: &str| {
        let key = format!("org.opencontainers.image.{name}");
        labels.get(&key).cloned().unwrap_or_default()
    };
    let mut build = origin.build.clone().unwrap_or_default();
    if build.revision.is_empty() {
        build.revision = label("revision");
    }
    if build.source.is_empty() {
        build.source = label("source");
    }
    (build != BuildOrigin::default()).then_some(build)
}

/// Notes in a change that names move. A name that keeps its image gets no new entry.
pub(crate) fn note(
    index: &Snapshot,
    change: &mut Change,
    reference: &Reference,
    version: impl FnOnce() -> Version,
    image: &Digest,
) {
    // Digests never move.
    if reference.digest().is_some() {
        return;
    }
    let name = reference.to_string();
    if index.names.get(&name) == Some(image) && index.versions.contains_key(&name) {
        return;
    }
    change.put_versions.push((name, version()));
}

/// The images that pruning leaves because a name stood for them lately.
pub(crate) fn retained(index: &Snapshot) -> std::collections::BTreeSet<Digest> {
    let Retention { versions, days } = index.retention;
    let oldest = import::now() - i64::from(days) * 86_400_000_000_000;
    let mut kept = std::collections::BTreeSet::new();
    for (name, history) in &index.versions {
        let current = index.names.get(name);
        let mut seen: Vec<Digest> = current.copied().into_iter().collect();
        // An entry's time is when the name came to it; it was left when the next one came.
        let mut left = i64::MAX;
        for version in history.iter().rev() {
            let fresh = !seen.contains(&version.image);
            if fresh {
                let earlier = seen.len() - usize::from(current.is_some());
                let by_count = earlier < versions as usize;
                let by_age = days > 0 && left >= oldest;
                if by_count || by_age {
                    kept.insert(version.image);
                }
                seen.push(version.image);
            }
            left = version.time;
        }
    }
    kept
}

impl Store {
    /// A name's history, the latest first.
    pub fn versions(&self, reference: &Reference) -> Result<Vec<VersionState>> {
        let index = self.inner.index.snapshot();
        let name = reference.to_string();
        let history = index.versions.get(&name).ok_or_else(|| {
            Error::NotFound(format!(
                "there is no history of {}: it was never the name of an image here",
                reference.familiar()
            ))
        })?;
        let current = index.names.get(&name);
        let mut first = true;
        let states = history.iter().rev().map(|version| {
            let here = index
                .images
                .get(&version.image)
                .is_some_and(|row| !row.hidden);
            let is_current = first && version.how != How::Untag && current == Some(&version.image);
            first = false;
            VersionState {
                version: version.clone(),
                available: here,
                current: is_current,
            }
        });
        Ok(states.collect())
    }

    /// Every name that has a history.
    pub fn versioned_names(&self) -> Vec<String> {
        let index = self.inner.index.snapshot();
        let names = index.versions.keys();
        names
            .filter_map(|name| Some(Reference::parse(name).ok()?.familiar()))
            .collect()
    }

    /// Gives a name back to an image that it stood for: the one before the present when `target`
    /// is empty, a version's number, or an image's or manifest's digest or the start of one.
    /// Returns the image.
    pub fn rollback(&self, reference: &Reference, target: &str, by: &str) -> Result<Digest> {
        let states = self.versions(reference)?;
        let familiar = reference.familiar();
        let current = self.inner.index.snapshot();
        let current = current.names.get(&reference.to_string()).copied();
        let found = pick(&states, target, current).ok_or_else(|| {
            Error::NotFound(if target.is_empty() {
                format!("{familiar} has no earlier version that is still here")
            } else {
                format!("{familiar} has no version {target}; see its log")
            })
        })?;
        if !found.available {
            return Err(Error::Conflict(format!(
                "version {} of {familiar} is {}, which was removed; pull or build it again",
                found.version.number,
                found.version.image.short()
            )));
        }
        let image = found.version.image;
        self.name(&image, reference, &Origin::new(How::Rollback, by))?;
        Ok(image)
    }

    /// How many earlier images pruning leaves.
    pub fn retention(&self) -> Retention {
        self.inner.index.snapshot().retention.clone()
    }

    /// Sets how many earlier images pruning leaves.
    pub fn set_retention(&self, retention: Retention) -> Result<()> {
        let _writing = self.inner.writing();
        self.inner.index.apply(Change {
            put_retention: Some(retention),
            ..Change::default()
        })
    }

    /// The images that pruning leaves because a name stood for them lately.
    pub fn retained(&self) -> std::collections::BTreeSet<Digest> {
        retained(&self.inner.index.snapshot())
    }

    /// Gives an image a name and notes how that came about.
    pub(crate) fn name(&self, id: &Digest, reference: &Reference, origin: &Origin) -> Result<()> {
        let _writing = self.inner.writing();
        let index = self.inner.index.snapshot();
        let row = index
            .images
            .get(id)
            .filter(|row| !row.hidden)
            .ok_or_else(|| Error::no_such_image(&id.to_string()))?;
        let config = self.inner.index.parsed(id)?;
        let digest = names::references(&index, id)
            .iter()
            .find(|known| known.name() == reference.name())
            .and_then(Reference::digest);
        let size = index.size(row);
        let mut change = Change::default();
        let version = || Version::new(*id, digest, origin, size, Some(&config));
        note(&index, &mut change, reference, version, id);
        change.put_images.push((
            *id,
            super::ImageRow {
                last_tagged: import::now(),
                ..row.clone()
            },
        ));
        change.put_names.push((reference.clone(), *id));
        self.inner.index.apply(change)
    }
}

fn pick<'a>(
    states: &'a [VersionState],
    target: &str,
    current: Option<Digest>,
) -> Option<&'a VersionState> {
    if target.is_empty() {
        return states
            .iter()
            .find(|state| state.available && Some(state.version.image) != current);
    }
    if let Ok(number) = target.parse::<u64>()
        && let Some(found) = states.iter().find(|state| state.version.number == number)
    {
        return Some(found);
    }
    let wanted = target.strip_prefix("sha256:").unwrap_or(target);
    let starts = |digest: &Digest| digest.hex().starts_with(wanted);
    states.iter().find(|state| {
        wanted.len() >= 4
            && (starts(&state.version.image) || state.version.digest.as_ref().is_some_and(starts))
    })
}
