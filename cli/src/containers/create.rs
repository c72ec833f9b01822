//! `slipway create`, and what `run` shares with it: pulling a missing image and the cid file.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::{Engine, Error, Query, models};
use crate::failure::{Failure, NOT_RUN};
use crate::format::reference::{Reference, is_id};
use crate::images::pull;
use crate::output;
use crate::progress::To;
use crate::run::ContainerFlags;
use crate::run::body;
use crate::run::flags::Pull;
use crate::terminal;

/// `slipway create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    flags: ContainerFlags,
}

impl Create {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let body = body::create(&self.flags, false, terminal::size())
            .map_err(|error| Failure::new(error).with_code(NOT_RUN))?;
        let engine = app.engine().await?;
        let id = create(&engine, &self.flags, &body).await?;
        print_id(app, &id);
        Ok(())
    }
}

/// Prints a new container's id.
pub(super) fn print_id(app: &App, id: &str) {
    if app.json {
        output::json(&serde_json::json!({"id": id}));
    } else {
        output::line(id);
    }
}

/// Makes the container, pulling the image first if need be, and writes its id to the cid file.
///
/// # Errors
/// When any of that fails; a cid file that was begun is removed again.
pub(super) async fn create(
    engine: &Engine,
    flags: &ContainerFlags,
    body: &Value,
) -> Result<String, Failure> {
    let mut cid_file = match &flags.cidfile {
        Some(path) => Some(CidFile::create(path)?),
        None => None,
    };
    let platform = flags
        .platform
        .clone()
        .or_else(|| std::env::var("DOCKER_DEFAULT_PLATFORM").ok())
        .filter(|platform| !platform.is_empty());
    let image = flags.image();
    let reference = if is_id(image) {
        None
    } else {
        Some(Reference::parse(image).map_err(Failure::new)?.or_latest())
    };
    let progress = if flags.quiet { To::Nowhere } else { To::Stderr };
    if let (Pull::Always, Some(reference)) = (flags.pull, &reference) {
        pull::pull(engine, reference, platform.as_deref(), progress).await?;
    }
    let query = Query::new()
        .opt("name", flags.name.as_ref())
        .opt("platform", platform.as_ref());
    let created = match engine.post("/containers/create", &query, body).await {
        Err(error) if error.is_not_found() && flags.pull == Pull::Missing => {
            // What is not found may be something else than the image: then it is not found again.
            let Some(reference) = &reference else {
                return Err(error.into());
            };
            if !flags.quiet {
                output::note(&format!("Unable to find image '{reference}' locally"));
            }
            pull::pull(engine, reference, platform.as_deref(), progress).await?;
            engine.post("/containers/create", &query, body).await
        }
        outcome => outcome,
    };
    let created: models::Created = created.map_err(|error: Error| Failure::from(error))?;
    for warning in &created.warnings {
        output::note(&format!("WARNING: {warning}"));
    }
    if let Some(file) = &mut cid_file {
        file.write(&created.id)?;
    }
    Ok(created.id)
}

/// A file that holds the container's id, or does not exist.
struct CidFile {
    path: PathBuf,
    file: File,
    written: bool,
}

impl CidFile {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create_new(path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                Failure::new(format!(
                    "container ID file found, make sure the other container isn't running or delete {}",
                    path.display()
                ))
            } else {
                Failure::file("create the container ID file", path, &error)
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            written: false,
        })
    }

    fn write(&mut self, id: &str) -> Result<(), Failure> {
        self.file
            .write_all(id.as_bytes())
            .map_err(|error| Failure::file("write the container ID file", &self.path, &error))?;
        self.written = true;
        Ok(())
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if !self.written {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_cid_file_is_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cid");
        drop(CidFile::create(&path).ok().unwrap());
        assert!(!path.exists());
        let mut file = CidFile::create(&path).ok().unwrap();
        file.write("abc").unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "abc");
        let again = CidFile::create(&path).err().unwrap().message();
        assert!(again.starts_with("container ID file found"), "{again}");
    }
}
