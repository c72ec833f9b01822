//! `GET /containers/{id}/archive`: something in a container as an archive.

use std::path::Path;
use std::sync::Arc;

use images::{Form, Packer};
use rustix::fs::{FileType, OFlags};

use super::stream::{Chunks, Outlet};
use super::view::FileView;
use super::{PathStat, path_error, paths, stat};
use crate::{Engine, Error, blocking};

impl Engine {
    /// What is at a path in a container: what it is, and its archive.
    pub async fn archive_path(
        self: &Arc<Self>,
        name: &str,
        path: &str,
    ) -> Result<(PathStat, Chunks), Error> {
        let container = self.container(name)?;
        let view = self.file_view(&container).await?;
        let (name, asked) = (name.to_owned(), path.to_owned());
        let absolute = paths::keep_ending(paths::clean(path), path);
        let (stat, chunks) = blocking::run(move || {
            let (stat, kind) = stat::look(view.root(), &absolute, &asked, &name)?;
            let failed = |errno| path_error("open", &absolute, &asked, &name, errno);
            // Opened here, so that what is refused has a status of its own.
            let (directory, member) = if kind == FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let directory = paths::open(view.root(), &absolute, flags).map_err(failed)?;
                (directory, None)
            } else {
                let (parent, member) = paths::split(&absolute);
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                let parent = paths::open(view.root(), parent, flags).map_err(failed)?;
                (parent, Some(member.to_owned()))
            };
            let prefix = match paths::base(&absolute) {
                "/" => String::new(),
                base => base.to_owned(),
            };
            let (outlet, chunks) = Outlet::new();
            let what = What {
                directory,
                member,
                prefix,
            };
            tokio::task::spawn_blocking(move || {
                let outcome = write(&what, &outlet);
                outlet.finish(outcome);
                // Not before: the view keeps the mounts.
                drop::<Arc<FileView>>(view);
            });
            Ok((stat, chunks))
        })
        .await?;
        self.container_event(&container, "archive-path", &[]);
        Ok((stat, chunks))
    }
}

/// What goes into the archive.
struct What {
    directory: std::os::fd::OwnedFd,
    /// One thing in the directory rather than all of it.
    member: Option<String>,
    /// How the entries' names begin.
    prefix: String,
}

fn write(what: &What, outlet: &Outlet) -> Result<(), Error> {
    use std::os::fd::AsFd as _;
    let mut packer = Packer::new(Form::Plain, |piece| outlet.send(piece));
    let directory = what.directory.as_fd();
    match &what.member {
        None => packer.directory(directory, what.prefix.as_bytes())?,
        Some(member) => packer.single(directory, Path::new(member), what.prefix.as_bytes())?,
    }
    Ok(packer.finish()?)
}
