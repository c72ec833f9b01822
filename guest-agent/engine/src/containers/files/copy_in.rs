//! `PUT /containers/{id}/archive`: an archive into a directory of a container.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use images::Extract;
use rustix::fs::FileType;

use super::stream::{Inlet, feed};
use super::view::FileView;
use super::{path_error, paths};
use crate::{Engine, Error, blocking};

/// How to extract.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyIn {
    /// Give everything to the container's user.
    pub owner_is_user: bool,
    /// Never put a directory in the place of something else, nor the reverse.
    pub keep_kinds: bool,
}

impl Engine {
    /// Extracts an archive. What is left of `content` after an error is the caller's to read.
    pub async fn extract_archive(
        self: &Arc<Self>,
        name: &str,
        path: &str,
        how: CopyIn,
        content: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<(), Error> {
        let container = self.container(name)?;
        let view = self.file_view(&container).await?;
        let user = if how.owner_is_user {
            container.lock().record.config.user.clone()
        } else {
            String::new()
        };
        let (feeder, inlet) = feed();
        let (name, path) = (name.to_owned(), path.to_owned());
        let engine = Arc::clone(self);
        let work = blocking::run(move || {
            let target = Target {
                asked: &path,
                container: &name,
                user: &user,
            };
            extract(&view, &target, how.keep_kinds, inlet)?;
            engine.container_event(&container, "extract-to-dir", &[]);
            Ok(())
        });
        let (done, ()) = tokio::join!(work, feeder.pass(content));
        done
    }
}

/// dockerd calls everything that goes wrong on the way its own failure, in Go's words.
fn said_as_dockerd(error: images::Error) -> Error {
    match error {
        images::Error::Io {
            action,
            path,
            source,
        } => {
            let call = match action {
                "replace" => "unlinkat",
                "create" => "open",
                "inspect" => "lstat",
                other => other,
            };
            let reason = rustix::io::Errno::from_io_error(&source)
                .map_or_else(|| source.to_string(), runtime::errno_text);
            Error::System(format!("{call} {}: {reason}", path.display()))
        }
        error => Error::System(error.to_string()),
    }
}

struct Target<'a> {
    asked: &'a str,
    container: &'a str,
    /// Who gets the files; nobody in particular when empty.
    user: &'a str,
}

fn extract(
    view: &FileView,
    target: &Target<'_>,
    keep_kinds: bool,
    content: Inlet,
) -> Result<(), Error> {
    let path = paths::clean(target.asked);
    let failed = |errno| path_error("lstat", &path, target.asked, target.container, errno);
    // A link at the end is followed as well: it may lead to the directory that is meant.
    let resolved = paths::follow(view.root(), &path).map_err(failed)?;
    let (_, stat) = paths::look(view.root(), &resolved).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Error::Invalid("extraction point is not a directory".into()));
    }
    view.check_writable(&resolved)?;
    let owner = match target.user {
        "" => None,
        user => Some(
            view.owner(user)
                .map_err(|error| Error::Invalid(error.to_string()))?,
        ),
    };
    let how = Extract {
        directory: resolved.into_bytes(),
        keep_kinds,
        owner,
        whole: false,
    };
    let extracted = view.inside(|| images::extract(content, view.root(), &how))?;
    extracted.map(drop).map_err(said_as_dockerd)
}
