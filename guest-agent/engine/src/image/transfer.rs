//! Images on their way in and out: pull, push, load, save.

use std::sync::Arc;

use images::{Auth, LoadOptions, LoadedImage, Platform, PullOptions, PullProgress, Reference};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use crate::{Engine, Error};

/// What a pull needs besides the name.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// Credentials.
    pub auth: Option<Auth>,
    /// Platform such as `linux/arm64`.
    pub platform: Option<String>,
    /// The client that asks.
    pub by: String,
}

/// What the registry refuses is no fault of the client's credentials for the engine.
fn of_registry(error: images::Error) -> Error {
    match Error::from(error) {
        Error::Unauthorized(why) => Error::System(why),
        other => other,
    }
}

impl Engine {
    /// Pulls an image; all tags of the repository when the name has none.
    pub async fn pull_image(
        self: &Arc<Self>,
        reference: &Reference,
        request: PullRequest,
        progress: mpsc::Sender<PullProgress>,
    ) -> Result<(), Error> {
        let platform = request.platform.as_deref();
        let options = PullOptions {
            access: self.access(request.auth)?,
            platform: platform.map(Platform::parse).transpose()?,
            by: request.by,
        };
        let mut wanted = vec![reference.clone()];
        if reference.tag().is_none() && reference.digest().is_none() {
            let tags = images::tags(reference, &options.access)
                .await
                .map_err(of_registry)?;
            wanted = tags
                .iter()
                .map(|tag| reference.with_tag(tag))
                .collect::<Result<_, _>>()?;
        }
        for reference in wanted {
            self.store()?
                .pull(&reference, options.clone(), progress.clone())
                .await
                .map_err(of_registry)?;
            self.image_event("pull", &reference.familiar(), &reference.familiar_name());
        }
        Ok(())
    }

    /// Pushes a tag, or all tags of the repository when the name has none.
    pub async fn push_image(
        self: &Arc<Self>,
        reference: &Reference,
        auth: Option<Auth>,
        platform: Option<Platform>,
        progress: mpsc::Sender<PullProgress>,
    ) -> Result<(), Error> {
        let options = images::PushOptions {
            access: self.access(auth)?,
            platform,
        };
        self.store()?
            .push(reference, options, progress)
            .await
            .map_err(of_registry)?;
        self.image_event("push", &reference.familiar(), &reference.familiar_name());
        Ok(())
    }

    /// Takes in the images of an archive.
    pub async fn load_images(
        self: &Arc<Self>,
        archive: impl AsyncRead + Send + Unpin,
        options: LoadOptions,
        progress: mpsc::Sender<PullProgress>,
    ) -> Result<Vec<LoadedImage>, Error> {
        let loaded = self.store()?.load(archive, options, progress).await?;
        let mut last = None;
        for image in &loaded {
            if last.replace(image.id) != Some(image.id) {
                let id = image.id.to_string();
                self.image_event("load", &id, &id);
            }
        }
        Ok(loaded)
    }

    /// Writes images into one archive.
    pub async fn save_images(
        self: &Arc<Self>,
        names: &[String],
        platform: Option<&Platform>,
        archive: impl AsyncWrite + Send + Unpin,
    ) -> Result<(), Error> {
        let saved = self.store()?.save(names, platform, archive).await;
        let saved = saved.map_err(|error| match Error::from(error) {
            // dockerd has no better status for a name that is none.
            Error::Invalid(why) if why.starts_with("invalid reference") => Error::System(why),
            error => error,
        })?;
        for id in saved {
            let id = id.to_string();
            self.image_event("save", &id, &id);
        }
        Ok(())
    }
}
