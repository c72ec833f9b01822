//! `slipway load`.

use std::path::{Path, PathBuf};

use clap::Args;
use futures::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::app::App;
use crate::engine::{Body, Lines, Query};
use crate::failure::Failure;
use crate::output;
use crate::progress::{self, To};

/// How much of the archive is read at once.
const CHUNK: usize = 256 * 1024;

/// `slipway load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Read this file instead of standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Don't print progress
    #[arg(short, long)]
    quiet: bool,
    /// Load this platform's image only, such as linux/arm64
    #[arg(long)]
    platform: Option<String>,
}

impl Load {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let body = match &self.input {
            Some(path) => stream(open(path).await?),
            None if output::in_is_terminal() => {
                return Err(
                    Failure::new("requested load from stdin, but stdin is empty").hint(
                        "name an archive with -i FILE, or feed one: slipway load < image.tar",
                    ),
                );
            }
            None => stream(tokio::io::stdin()),
        };
        let quiet = self.quiet || app.json || !output::out_is_terminal();
        let query = Query::new()
            .set("quiet", u8::from(quiet))
            .opt("platform", self.platform.as_deref().map(platform));
        let engine = app.engine().await?;
        let body = Some(("application/x-tar", body));
        let response = engine.send("/images/load", &query, body).await?;
        let to = if app.json { To::Json } else { To::Stdout };
        progress::show(Lines::new(response), to).await
    }
}

/// A platform as the engine takes it.
pub(crate) fn platform(text: &str) -> String {
    let mut parts = text.splitn(3, '/');
    let mut next = || parts.next().unwrap_or_default();
    let (os, architecture, variant) = (next(), next(), next());
    serde_json::json!({ "os": os, "architecture": architecture, "variant": variant }).to_string()
}

async fn open(path: &Path) -> Result<tokio::fs::File, Failure> {
    tokio::fs::File::open(path)
        .await
        .map_err(|error| Failure::file("open", path, &error))
}

fn stream(reader: impl AsyncRead + Send + Sync + 'static) -> Body {
    let chunks = ReaderStream::with_capacity(reader, CHUNK).map_ok(Frame::data);
    BodyExt::boxed(StreamBody::new(chunks))
}
