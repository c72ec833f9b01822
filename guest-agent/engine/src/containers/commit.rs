//! `docker commit`: a container's changes become an image.

mod document;
mod instructions;
mod merge;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use images::{Commit, Digest, Reference};
use tokio::sync::oneshot;

pub(crate) use self::instructions::apply as apply_changes;
use super::files::still_there;
use super::{Config, Container, Record, State};
use crate::{Engine, Error, blocking};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    /// The container.
    pub container: String,
    /// Name for the image; none when empty.
    pub repository: String,
    /// Its tag, `latest` when empty.
    pub tag: String,
    /// Who made it.
    pub author: String,
    /// A remark for its history.
    pub comment: String,
    /// Freeze the container meanwhile.
    pub pause: bool,
    /// Configuration to use instead of the container's.
    pub config: Option<Config>,
    /// Dockerfile instructions that change the configuration.
    pub changes: Vec<String>,
    /// The client that asks.
    pub by: String,
}

impl Engine {
    /// Makes an image of a container and returns its id.
    pub async fn commit_container(
        self: &Arc<Self>,
        request: CommitRequest,
    ) -> Result<String, Error> {
        let name = reference(&request.repository, &request.tag)?;
        let container = self.container(&request.container)?;
        still_there(&container, "commit")?;
        let engine = Arc::clone(self);
        blocking::to_the_end(async move { engine.commit(&container, request, name).await }).await
    }

    async fn commit(
        self: &Arc<Self>,
        container: &Arc<Container>,
        request: CommitRequest,
        name: Option<Reference>,
    ) -> Result<String, Error> {
        let record = container.lock().record.clone();
        let config = configuration(&record.config, &request)?;
        // The files may not be removed meanwhile.
        let _held = container.files.share().await;
        let running = matches!(container.lock().record.state, State::Running { .. });
        // One that has just ended needs no pause.
        let paused = request.pause && running && self.pause_container(&container.id).await.is_ok();
        let (packed, done_with_files) = oneshot::channel();
        let work = {
            let engine = Arc::clone(self);
            let upper = container.dir.join("upper");
            let (author, comment) = (request.author.clone(), request.comment.clone());
            let (name, by) = (name.clone(), request.by.clone());
            blocking::run(move || {
                let store = engine.store()?;
                let image = store.get(&image_id(&record)?)?;
                let commit = Commit {
                    parent: Some(image.id),
                    layers: &image.layers,
                    upper: &upper,
                    name: name.as_ref(),
                    by: &by,
                };
                let packed = || {
                    // Nobody may be waiting any more.
                    let _ = packed.send(());
                };
                let id = store.commit(&commit, packed, |layer| {
                    document::write(&document::Facts {
                        record: &record,
                        image: &image,
                        layer,
                        config: &config,
                        author: &author,
                        comment: &comment,
                    })
                })?;
                Ok(id)
            })
        };
        let thaw = async {
            // When the sender is dropped the work has failed, which is as good a time.
            let _ = done_with_files.await;
            if paused && let Err(error) = self.let_go_on(container).await {
                tracing::warn!(container = container.id, %error, "thawing after a commit");
            }
        };
        let (id, ()) = tokio::join!(work, thaw);
        let made = id.map(|id| self.tell_of_commit(container, request, name, id.to_string()));
        if paused {
            // Behind the commit, as Docker tells it, whose container waits for the whole of it.
            self.container_event(container, "unpause", &[]);
        }
        made
    }

    /// The events of a commit; returns the image's id.
    fn tell_of_commit(
        &self,
        container: &Container,
        request: CommitRequest,
        name: Option<Reference>,
        id: String,
    ) -> String {
        self.image_event("create", &id, &id);
        let name = name.map_or_else(String::new, |name| name.familiar());
        if !name.is_empty() {
            self.image_event("tag", &id, &name);
        }
        self.container_event(
            container,
            "commit",
            &[
                ("comment", request.comment),
                ("imageID", id.clone()),
                ("imageRef", name),
            ],
        );
        id
    }
}

/// The configuration of the new image.
fn configuration(container: &Config, request: &CommitRequest) -> Result<Config, Error> {
    let mut config = request.config.clone().unwrap_or_else(|| container.clone());
    instructions::apply(&mut config, &request.changes)?;
    merge::fill(&mut config, container);
    Ok(config)
}

fn image_id(record: &Record) -> Result<Digest, Error> {
    Digest::parse(&record.image)
        .map_err(|error| Error::System(format!("the container's image id is damaged: {error}")))
}

/// A configuration as images have it.
pub(crate) fn config_document(config: &Config) -> Result<serde_json::Value, Error> {
    Ok(document::to_value(config)?)
}

/// The name to give the image.
fn reference(repository: &str, tag: &str) -> Result<Option<Reference>, Error> {
    if repository.is_empty() {
        return Ok(None);
    }
    let bare = Reference::parse_bare(repository)?;
    if bare.digest().is_some() {
        return Err(Error::Invalid("cannot import digest reference".into()));
    }
    let tag = match (tag, bare.tag()) {
        ("", Some(_)) => return Ok(Some(bare)),
        ("", None) => "latest",
        (tag, _) => tag,
    };
    Ok(Some(bare.with_tag(tag)?))
}

/// Words by name, as in an environment.
type Names<'a> = BTreeMap<&'a str, &'a str>;
