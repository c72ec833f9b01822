//! `POST /slipway/volumes/{name}/clone`: a volume with a copy of another one's files.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use super::staging::not_staged;
use super::{ANONYMOUS, Volume, still};
use crate::{Engine, Error, blocking};

/// Labels by which Compose knows what belongs to a project, and takes it away with it.
const COMPOSE: &str = "com.docker.compose.";

/// A volume that was cloned.
#[derive(Debug, Clone)]
pub struct Cloned {
    /// The new volume.
    pub volume: Volume,
    /// Bytes of its files.
    pub bytes: u64,
    /// Containers that may have written into the old one meanwhile.
    pub writers: Vec<String>,
}

impl Engine {
    /// Makes a volume with a copy of another one's files and labels. It is a plain volume even
    /// where the other one has driver options: with them it would show the same files.
    pub async fn clone_volume(
        self: &Arc<Self>,
        from: &str,
        to: &str,
        pause: bool,
    ) -> Result<Cloned, Error> {
        let (engine, from, to) = (Arc::clone(self), from.to_owned(), to.to_owned());
        blocking::to_the_end(async move {
            let (source, _reading) = engine.volumes.reading(&from)?;
            let (there, _making) = engine.volumes.replacing(&to)?;
            if there.is_some() {
                return Err(Error::Conflict(format!(
                    "a volume named {to} is there already: choose another name, or remove it first"
                )));
            }
            let still = match pause {
                true => engine.pause_users(&from).await?,
                false => still::Still::default(),
            };
            let paused = still.names();
            let mut writers = super::usage::names(&engine.running_users(&from));
            writers.retain(|user| !paused.contains(user));
            let this = Arc::clone(&engine);
            let labels = labels(&source);
            let copied = blocking::run(move || {
                let files = this.open_volume_with_files(&source)?;
                let staged = this.volumes.stage(None)?;
                let bytes =
                    images::copy_tree(files.as_fd(), staged.open()?.as_fd()).map_err(not_staged)?;
                Ok((staged, bytes))
            })
            .await;
            engine.let_go(still).await;
            let (staged, bytes) = copied?;
            let this = Arc::clone(&engine);
            let volume = blocking::run(move || this.volumes.adopt(staged, &to, labels)).await?;
            engine.volume_event(&volume.name, "create", &[]);
            Ok(Cloned {
                volume,
                bytes,
                writers,
            })
        })
        .await
    }
}

fn labels(source: &Volume) -> Option<BTreeMap<String, String>> {
    let mut labels = source.labels.clone()?;
    labels.retain(|label, _| label != ANONYMOUS && !label.starts_with(COMPOSE));
    Some(labels)
}
