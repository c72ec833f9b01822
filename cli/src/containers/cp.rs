//! `slipway cp`: files between this computer and a container, by docker's rules for names.

mod pack;
mod paths;
mod unpack;

#[cfg_attr(unix, path = "cp/unix.rs")]
#[cfg_attr(windows, path = "cp/windows.rs")]
mod platform;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::HeaderMap;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use crate::app::App;
use crate::engine::{Body, Engine, Error, Query, segment};
use crate::failure::Failure;
use crate::format::size;
use crate::output;

/// How much is read from standard input at once.
const CHUNK: usize = 256 * 1024;
const STAT: &str = "x-docker-container-path-stat";

/// `slipway cp`.
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// Keep owners and groups
    #[arg(short, long)]
    archive: bool,
    /// Copy what a link in SOURCE leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Print nothing when it is done
    #[arg(short, long)]
    quiet: bool,
    /// CONTAINER:PATH, a path here, or - for an archive on standard input
    #[arg(value_name = "SOURCE")]
    source: String,
    /// CONTAINER:PATH, a path here, or - for an archive on standard output
    #[arg(value_name = "DESTINATION")]
    destination: String,
}

/// What the engine tells of a path.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stat {
    mode: u32,
    link_target: String,
}

impl Stat {
    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;

    fn is(&self, kind: u32) -> bool {
        self.mode & kind != 0
    }
}

impl Cp {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        for (what, text) in [("source", &self.source), ("destination", &self.destination)] {
            if text.is_empty() {
                return Err(Failure::new(format!("{what} can not be empty")));
            }
        }
        let (source, destination) = (paths::place(&self.source), paths::place(&self.destination));
        let (to, bytes) = match (source, destination) {
            ((Some(container), path), (None, to)) => {
                let engine = app.engine().await?;
                let bytes = self.fetch(&engine, container, path, to).await?;
                (to.to_owned(), bytes)
            }
            ((None, from), (Some(container), path)) => {
                let engine = app.engine().await?;
                self.push(&engine, from, container, path).await?
            }
            ((Some(_), _), (Some(_), _)) => {
                return Err(Failure::new("copying between containers is not supported"));
            }
            ((None, _), (None, _)) => {
                return Err(Failure::new("must specify at least one container source"));
            }
        };
        if app.json && self.destination != "-" {
            output::json(&serde_json::json!({
                "source": self.source, "destination": self.destination, "bytes": bytes,
            }));
        } else if !self.quiet && output::out_is_terminal() {
            output::note(&format!(
                "Successfully copied {} to {to}",
                size::decimal3(bytes)
            ));
        }
        Ok(())
    }

    /// Returns how many bytes came.
    async fn fetch(
        &self,
        engine: &Engine,
        container: &str,
        path: &str,
        to: &str,
    ) -> Result<u64, Failure> {
        let to = (to != "-").then(|| paths::absolute(to)).transpose()?;
        if let Some(to) = &to {
            paths::check_output(to)?;
        }
        let mut from = path.to_owned();
        let mut name = None;
        if self.follow_link
            && let Ok(stat) = look(engine, container, path).await
            && stat.is(Stat::SYMLINK)
        {
            let target = paths::join_link(path, &stat.link_target);
            (from, name) = paths::rebase(path, &target);
        }
        let query = Query::new().set("path", &from);
        let response = engine.open(&archive_of(container), &query).await?;
        let stat = stat_of(response.headers())?;
        let mut body = response.into_body();
        let Some(to) = to else {
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                if let Some(chunk) = frame.map_err(Error::Conversation)?.data_ref() {
                    output::out(chunk);
                    bytes += chunk.len() as u64;
                }
            }
            return Ok(bytes);
        };
        let here = paths::Source {
            base: paths::base(&from).to_owned(),
            is_directory: stat.is(Stat::DIRECTORY),
        };
        let plan = paths::plan(&here, name.as_deref(), &paths::local_target(&to)?)?;
        unpack::unpack(body, PathBuf::from(&plan.directory), plan.rename).await
    }

    /// Returns where it went and how many bytes that were.
    async fn push(
        &self,
        engine: &Engine,
        from: &str,
        container: &str,
        path: &str,
    ) -> Result<(String, u64), Failure> {
        let target = remote_target(engine, container, path).await?;
        let counted = pack::Count::default();
        let (directory, body) = if from == "-" {
            if !target.is_directory {
                return Err(Failure::new(format!(
                    "destination \"{container}:{path}\" must be a directory"
                )));
            }
            let chunks = ReaderStream::with_capacity(tokio::io::stdin(), CHUNK);
            let frames = futures::TryStreamExt::map_ok(chunks, Frame::data);
            let body: Body = BodyExt::boxed(StreamBody::new(frames));
            (target.path.clone(), body)
        } else {
            let from = paths::absolute(from)?;
            let source = pack::Source::look(Path::new(&from), self.follow_link)?;
            let here = paths::Source {
                base: paths::base(&from).to_owned(),
                is_directory: source.is_directory,
            };
            let plan = paths::plan(&here, None, &target)?;
            let name = plan.rename.map_or(here.base, |(_, new)| new);
            (plan.directory, pack::pack(source, name, counted.clone()))
        };
        let query = Query::new()
            .set("path", &directory)
            .set("noOverwriteDirNonDir", true)
            .flag("copyUIDGID", self.archive);
        engine
            .put(&archive_of(container), &query, ("application/x-tar", body))
            .await?;
        Ok((format!("{container}:{}", target.path), counted.get()))
    }
}

fn archive_of(container: &str) -> String {
    format!("/containers/{}/archive", segment(container))
}

async fn look(engine: &Engine, container: &str, path: &str) -> Result<Stat, Failure> {
    let query = Query::new().set("path", path);
    let response = engine.head(&archive_of(container), &query).await?;
    stat_of(response.headers())
}

fn stat_of(headers: &HeaderMap) -> Result<Stat, Failure> {
    let bytes = headers
        .get(STAT)
        .and_then(|value| STANDARD.decode(value).ok())
        .unwrap_or_default();
    Ok(serde_json::from_slice(&bytes).map_err(Error::Decode)?)
}

/// What a path in a container is, as the place to copy to. An error is no reason to give up: the
/// path need not exist, and if there is another fault then the copy meets it, too.
async fn remote_target(
    engine: &Engine,
    container: &str,
    path: &str,
) -> Result<paths::Target, Failure> {
    let mut found = look(engine, container, path).await.ok();
    let mut at = path.to_owned();
    if let Some(link) = found.as_ref().filter(|stat| stat.is(Stat::SYMLINK)) {
        at = paths::join_link(path, &link.link_target);
        found = look(engine, container, &at).await.ok();
    }
    if found.as_ref().is_some_and(|stat| stat.is(Stat::DEVICE)) {
        return Err(Failure::new(format!(
            "destination \"{container}:{path}\" must be a directory or a regular file"
        ))
        .because("got a device"));
    }
    Ok(paths::Target {
        path: at,
        exists: found.is_some(),
        is_directory: found.is_some_and(|stat| stat.is(Stat::DIRECTORY)),
    })
}
