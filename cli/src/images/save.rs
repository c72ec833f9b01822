//! `slipway save`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::app::App;
use crate::engine::{Error, Query};
use crate::failure::Failure;
use crate::output;

/// `slipway save`.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Write this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Save this platform's images only, such as linux/arm64
    #[arg(long)]
    platform: Option<String>,
    /// Names or ids
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Save {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        if self.output.is_none() && output::out_is_terminal() {
            return Err(Failure::usage("an archive is nothing for a terminal")
                .hint("name a file with -o FILE, or redirect: slipway save IMAGE > image.tar"));
        }
        let engine = app.engine().await?;
        let platform = self.platform.as_deref().map(super::load::platform);
        let mut query = Query::new().opt("platform", platform);
        for image in &self.images {
            query = query.set("names", image);
        }
        let body = engine.open("/images/get", &query).await?.into_body();
        write(body, self.output.as_deref()).await?;
        if app.json {
            output::json(&serde_json::json!({"images": self.images, "file": self.output}));
        }
        Ok(())
    }
}

/// Writes an answer to a file, or to standard output.
pub(crate) async fn write(body: Incoming, path: Option<&Path>) -> Result<(), Failure> {
    write_seen(body, path, |_| {}).await
}

/// The same, telling the length of each piece that was written.
pub(crate) async fn write_seen(
    body: Incoming,
    path: Option<&Path>,
    mut seen: impl FnMut(usize),
) -> Result<(), Failure> {
    let Some(path) = path else {
        let print = |chunk: &[u8]| {
            output::out(chunk);
            seen(chunk.len());
            Ok(())
        };
        return copy(body, print).await;
    };
    let fail = |error: std::io::Error| Failure::file("write", path, &error);
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        // A device or a pipe takes the bytes, and stays what it is.
        let mut there = File::options().write(true).open(path).map_err(fail)?;
        let write = |chunk: &[u8]| {
            seen(chunk.len());
            there.write_all(chunk).map_err(fail)
        };
        return copy(body, write).await;
    }
    to_file(body, path, seen).await
}

/// Writes a new file beside the old one and puts it in its place when it is whole.
async fn to_file(body: Incoming, path: &Path, mut seen: impl FnMut(usize)) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let fail = |error: std::io::Error| Failure::file("write", path, &error);
    let mut file = File::create(&part).map_err(fail)?;
    let write = |chunk: &[u8]| {
        seen(chunk.len());
        file.write_all(chunk).map_err(fail)
    };
    let copied = copy(body, write).await;
    let moved = copied.and_then(|()| {
        file.sync_all().map_err(fail)?;
        std::fs::rename(&part, path).map_err(fail)
    });
    if moved.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    moved
}

async fn copy(
    mut body: Incoming,
    mut sink: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        if let Some(chunk) = frame.map_err(Error::Conversation)?.data_ref() {
            sink(chunk)?;
        }
    }
    Ok(())
}
