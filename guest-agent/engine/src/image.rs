//! Images as the engine's clients see them: the store's operations with events and with the
//! containers that use an image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use images::{ContainerUse, Digest, RemoveOptions};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::containers::Pruned;
use crate::events::Subject;
use crate::filters::Filters;
use crate::time::Time;
use crate::{Engine, Error, blocking};

pub use images::{Auth, Image, ImageConfig, LoadedImage, PullProgress, Reference, Removed};

/// What a pull needs besides the name.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// Credentials.
    pub auth: Option<images::Auth>,
    /// Platform such as `linux/arm64`.
    pub platform: Option<String>,
}

impl From<images::Error> for Error {
    fn from(error: images::Error) -> Self {
        let message = error.to_string();
        match error.kind() {
            images::Kind::NotFound => Self::NotFound(message),
            images::Kind::Unauthorized => Self::Unauthorized(message),
            images::Kind::Invalid => Self::Invalid(message),
            images::Kind::Conflict => Self::Conflict(message),
            images::Kind::NoSpace | images::Kind::Network | images::Kind::Internal => {
                Self::System(message)
            }
        }
    }
}

impl Engine {
    /// The images, the newest first, that pass the filters. Those without a name that others were
    /// made from are shown only with `all`.
    pub async fn list_images(
        self: &Arc<Self>,
        filters: Filters,
        all: bool,
    ) -> Result<Vec<(Image, usize)>, Error> {
        filters.accept_only(&[
            "dangling",
            "label",
            "label!",
            "before",
            "since",
            "reference",
            "until",
        ])?;
        let dangling = filters.flag("dangling")?;
        let engine = Arc::clone(self);
        blocking::run(move || {
            let store = engine.store()?;
            let created = |name: &String| -> Result<Option<Time>, Error> {
                Ok(store
                    .resolve(name)?
                    .created
                    .and_then(|text| text.parse().ok()))
            };
            let before = filters
                .get("before")
                .last()
                .map(created)
                .transpose()?
                .flatten();
            let since = filters
                .get("since")
                .last()
                .map(created)
                .transpose()?
                .flatten();
            let users = engine.image_users();
            let mut found = Vec::new();
            let images = store.list()?;
            let parents: BTreeSet<Digest> =
                images.iter().filter_map(|image| image.parent).collect();
            for image in images {
                if !all && image.repo_tags.is_empty() && parents.contains(&image.id) {
                    continue;
                }
                let time = image
                    .created
                    .as_deref()
                    .and_then(|text| text.parse::<Time>().ok());
                let fits = dangling.is_none_or(|wanted| image.repo_tags.is_empty() == wanted)
                    && filters.labels(&image.config.labels())
                    && before.is_none_or(|limit| time.is_some_and(|t| t < limit))
                    && since.is_none_or(|limit| time.is_some_and(|t| t > limit))
                    && filters.any("reference", |wanted| has_reference(&image, wanted));
                if fits {
                    let count = users(&image.id).len();
                    found.push((image, count));
                }
            }
            Ok(found)
        })
        .await
    }

    /// The image with that name, id or unique id prefix.
    pub async fn find_image(self: &Arc<Self>, name: &str) -> Result<Image, Error> {
        let engine = Arc::clone(self);
        let name = name.to_owned();
        blocking::run(move || Ok(engine.store()?.resolve(&name)?)).await
    }

    /// Gives an image another name.
    pub async fn tag_image(
        self: &Arc<Self>,
        source: &str,
        repository: &str,
        tag: &str,
    ) -> Result<(), Error> {
        let engine = Arc::clone(self);
        let (source, repository, tag) = (source.to_owned(), repository.to_owned(), tag.to_owned());
        let (id, name) = blocking::run(move || {
            let bare = Reference::parse_bare(&repository)?;
            if bare.digest().is_some() {
                return Err(Error::Invalid(
                    "refusing to create a tag with a digest reference".into(),
                ));
            }
            let reference = match (tag.as_str(), bare.tag()) {
                ("", None) => bare.with_tag("latest")?,
                ("", Some(_)) => bare,
                (tag, _) => bare.with_tag(tag)?,
            };
            let store = engine.store()?;
            let image = store.resolve(&source)?;
            store.tag(&image.id, &reference)?;
            Ok((image.id, reference.familiar()))
        })
        .await?;
        self.image_event("tag", &id.to_string(), &name);
        Ok(())
    }

    /// Removes a name, and the image with its last one.
    pub async fn remove_image(
        self: &Arc<Self>,
        name: &str,
        force: bool,
        no_prune: bool,
    ) -> Result<Vec<Removed>, Error> {
        let engine = Arc::clone(self);
        let name = name.to_owned();
        let (id, removed) = blocking::run(move || {
            let store = engine.store()?;
            let id = store.resolve(&name)?.id;
            let options = RemoveOptions { force, no_prune };
            Ok((id, store.remove(&name, options, engine.image_users())?))
        })
        .await?;
        self.removal_events(id, &removed);
        Ok(removed)
    }

    fn removal_events(&self, id: Digest, removed: &[Removed]) {
        for step in removed {
            match step {
                Removed::Untagged(name) => self.image_event("untag", &id.to_string(), name),
                // Layers have no events of their own.
                Removed::Deleted(what) if *what == id.to_string() => {
                    self.image_event("delete", what, what);
                }
                Removed::Deleted(_) => {}
            }
        }
    }

    /// Takes in the images of an archive.
    pub async fn load_images(
        self: &Arc<Self>,
        archive: impl AsyncRead + Send + Unpin,
        progress: mpsc::Sender<PullProgress>,
    ) -> Result<Vec<LoadedImage>, Error> {
        let loaded = self.store()?.load(archive, progress).await?;
        for image in &loaded {
            let id = image.id.to_string();
            self.image_event("load", &id, image.reference.as_deref().unwrap_or(&id));
        }
        Ok(loaded)
    }

    /// Writes images into one archive.
    pub async fn save_images(
        self: &Arc<Self>,
        names: &[String],
        archive: impl AsyncWrite + Send + Unpin,
    ) -> Result<(), Error> {
        let store = self.store()?;
        store.save(names, archive).await?;
        for name in names {
            if let Ok(image) = store.resolve(name) {
                self.image_event("save", &image.id.to_string(), name);
            }
        }
        Ok(())
    }

    /// Pulls an image.
    pub async fn pull_image(
        self: &Arc<Self>,
        reference: &Reference,
        request: PullRequest,
        progress: mpsc::Sender<PullProgress>,
    ) -> Result<(), Error> {
        let options = images::PullOptions {
            auth: request.auth,
            platform: request
                .platform
                .as_deref()
                .map(images::Platform::parse)
                .transpose()?,
            insecure: Vec::new(),
            localhost_alias: self.localhost_alias(),
            ca_bundles: Vec::new(),
        };
        self.store()?.pull(reference, options, progress).await?;
        self.image_event("pull", &reference.familiar(), &reference.familiar_name());
        Ok(())
    }

    /// Removes images without a name (or, with the filter `dangling=false`, all that no container
    /// uses).
    pub async fn prune_images(
        self: &Arc<Self>,
        filters: Filters,
    ) -> Result<(Vec<Removed>, Pruned), Error> {
        filters.accept_only(&["dangling", "label", "label!", "until"])?;
        let only_dangling = filters.flag("dangling")?.unwrap_or(true);
        let until = match filters.get("until").last() {
            None => None,
            Some(text) => Some(Time::parse_client(text, Time::now()).ok_or_else(|| {
                Error::Invalid(format!(
                    "failed to parse value as time or duration: \"{text}\""
                ))
            })?),
        };
        let engine = Arc::clone(self);
        blocking::run(move || {
            let store = engine.store()?;
            let users = engine.image_users();
            let mut steps = Vec::new();
            let mut pruned = Pruned::default();
            for image in store.list()? {
                let created = image
                    .created
                    .as_deref()
                    .and_then(|text| text.parse::<Time>().ok());
                let skip = (only_dangling && !image.repo_tags.is_empty())
                    || !users(&image.id).is_empty()
                    || !filters.labels(&image.config.labels())
                    || until.is_some_and(|until| created.is_none_or(|time| time >= until));
                if skip {
                    continue;
                }
                let names = if image.repo_tags.is_empty() {
                    vec![image.id.to_string()]
                } else {
                    image.repo_tags.clone()
                };
                for name in names {
                    let options = RemoveOptions::default();
                    let removed = match store.remove(&name, options, engine.image_users()) {
                        Ok(removed) => removed,
                        // Something else uses or has removed it by now.
                        Err(_) => continue,
                    };
                    engine.removal_events(image.id, &removed);
                    if removed
                        .iter()
                        .any(|step| *step == Removed::Deleted(image.id.to_string()))
                    {
                        pruned.reclaimed += image.size;
                        pruned.deleted.push(image.id.to_string());
                    }
                    steps.extend(removed);
                }
            }
            Ok((steps, pruned))
        })
        .await
    }

    /// Which containers use an image, for the store's removals.
    pub(crate) fn image_users(&self) -> impl Fn(&Digest) -> Vec<ContainerUse> + use<> {
        let all: Vec<(String, String, bool)> = self
            .all_containers()
            .iter()
            .map(|container| {
                let inner = container.lock();
                let record = &inner.record;
                (
                    record.image.clone(),
                    container.id.clone(),
                    record.state.is_running(),
                )
            })
            .collect();
        move |digest| {
            let id = digest.to_string();
            all.iter()
                .filter(|(image, _, _)| *image == id)
                .map(|(_, container, running)| ContainerUse {
                    container_id: container.clone(),
                    running: *running,
                })
                .collect()
        }
    }

    pub(crate) fn image_event(&self, action: &str, id: &str, name: &str) {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        self.events.publish(Subject::Image, action, id, attributes);
    }

    /// Loads the archives that came with the machine, each once: a marker keeps an image that
    /// was removed from coming back.
    pub(crate) async fn load_bundled_images(self: &Arc<Self>) {
        let Some(dir) = self.options.bundled_images.clone() else {
            return;
        };
        let Ok(entries) = std::fs::read_dir(&dir) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "tar")
                && let Err(error) = self.load_bundled(&path).await
            {
                tracing::error!(%error, path = %path.display(), "loading a bundled image failed");
            }
        }
    }

    async fn load_bundled(self: &Arc<Self>, path: &Path) -> Result<(), Error> {
        let failed = |e| Error::file("reading", path, e);
        let meta = std::fs::metadata(path).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A new version of the machine brings a new archive, which has another size or time.
        let modified = meta
            .modified()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |d| d.as_secs());
        let markers = self.options.root.join("bundled");
        let marker = markers.join(format!("{name}-{}-{modified}", meta.len()));
        if marker.exists() {
            return Ok(());
        }
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let (progress, mut ignored) = mpsc::channel(16);
        tokio::spawn(async move { while ignored.recv().await.is_some() {} });
        let loaded = self.load_images(file, progress).await?;
        std::fs::create_dir_all(&markers).map_err(|e| Error::file("creating", &markers, e))?;
        crate::state_file::write(&marker, b"")?;
        for image in loaded {
            tracing::info!(%image, "bundled image");
        }
        Ok(())
    }
}

/// Docker's `reference` filter: a name, `name:tag`, or a pattern with `*` and `?`.
fn has_reference(image: &Image, wanted: &str) -> bool {
    image.repo_tags.iter().any(|tag| {
        let name = tag.rsplit_once(':').map_or(tag.as_str(), |(name, _)| name);
        tag == wanted || name == wanted || glob(wanted, tag) || glob(wanted, name)
    })
}

fn glob(pattern: &str, text: &str) -> bool {
    fn go(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                go(rest, text)
                    || text
                        .split_first()
                        .is_some_and(|(c, tail)| *c != b'/' && go(pattern, tail))
            }
            (Some((b'?', rest)), Some((c, tail))) => *c != b'/' && go(rest, tail),
            (Some((p, rest)), Some((c, tail))) => p == c && go(rest, tail),
            _ => false,
        }
    }
    go(pattern.as_bytes(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn references_match_by_pattern() {
        assert!(glob("busy*", "busybox"));
        assert!(glob("busybox:1.?", "busybox:1.2"));
        assert!(!glob("*", "a/b"));
        assert!(glob("*/*", "a/b"));
    }
}
