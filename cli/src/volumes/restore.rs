//! `slipway volume restore`.

use std::path::{Path, PathBuf};

use clap::Args;
use futures::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::meter::Meter;
use super::own;
use crate::app::App;
use crate::engine::{Body, Query, json};
use crate::failure::Failure;
use crate::format::size;
use crate::output;

/// How much of the archive is read at once.
const CHUNK: usize = 256 * 1024;

/// `slipway volume restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Plain, gzip and zstd tar archives are taken. The archive is read to its end first: one that is
damaged or cut off changes nothing, and neither does a disk that is full.

Examples:
  slipway volume restore db db.tar.zst
  slipway volume restore db db.tar.zst --force --stop
  ssh backup@example 'cat db.tar.zst' | slipway volume restore db -")]
pub(crate) struct Restore {
    /// Replace the files of a volume that holds some
    #[arg(short, long)]
    force: bool,
    /// Stop the containers that use it for the moment of the change, and start them again
    #[arg(long)]
    stop: bool,
    /// Its name; it is made if there is none
    #[arg(value_name = "VOLUME")]
    volume: String,
    /// The archive, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Restore {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let meter = Meter::new("Read so far:");
        let body = if self.file == Path::new("-") {
            if output::in_is_terminal() {
                return Err(Failure::usage("an archive is nothing for a keyboard")
                    .hint("name a file, or feed one: slipway volume restore db - < db.tar.zst"));
            }
            stream(tokio::io::stdin(), &meter)
        } else {
            let file = tokio::fs::File::open(&self.file).await;
            let file = file.map_err(|error| Failure::file("open", &self.file, &error))?;
            stream(file, &meter)
        };
        let engine = app.engine().await?;
        let query = Query::new()
            .flag("force", self.force)
            .flag("stop", self.stop);
        let path = own(&self.volume, "restore");
        // Nobody wants to send gigabytes to hear a no.
        drop(engine.open(&path, &query).await?);
        let body = Some(("application/x-tar", body));
        let answer = engine.send(&path, &query, body).await;
        meter.finish();
        let restored: Value = json(answer?).await?;
        if app.json {
            output::json(&restored);
            return Ok(());
        }
        let restarted = restored["Restarted"].as_array();
        for name in restarted.into_iter().flatten().filter_map(Value::as_str) {
            output::note(&format!("{name} was stopped and started again"));
        }
        output::note(&format!(
            "Restored {} in {} entries into the {}volume {}",
            size::decimal3(restored["Bytes"].as_u64().unwrap_or(0)),
            restored["Entries"],
            if restored["Created"] == true {
                "new "
            } else {
                ""
            },
            self.volume
        ));
        Ok(())
    }
}

fn stream(reader: impl AsyncRead + Send + Sync + 'static, meter: &Meter) -> Body {
    let meter = meter.clone();
    let chunks = ReaderStream::with_capacity(reader, CHUNK).map_ok(move |chunk| {
        meter.add(chunk.len());
        Frame::data(chunk)
    });
    BodyExt::boxed(StreamBody::new(chunks))
}
