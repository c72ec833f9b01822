//! `slipway import`.

use clap::Args;
use futures::TryStreamExt;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::app::App;
use crate::engine::{Body, Lines, Query};
use crate::failure::Failure;
use crate::format::reference::Reference;
use crate::progress::{self, To};

/// How much of the archive is read at once.
const CHUNK: usize = 256 * 1024;

/// `slipway import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Apply a Dockerfile instruction to the image
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// A remark for its history
    #[arg(short, long, default_value = "")]
    message: String,
    /// Platform of the image, such as linux/arm64
    #[arg(long)]
    platform: Option<String>,
    /// An archive of files, a web address, or - for standard input
    #[arg(value_name = "FILE|URL|-")]
    source: String,
    /// Name of the image
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

impl Import {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let remote = self.source.contains("://");
        let body = match self.source.as_str() {
            "-" => Some(stream(tokio::io::stdin())),
            _ if remote => None,
            path => {
                let file = tokio::fs::File::open(path).await;
                let path = std::path::Path::new(path);
                Some(stream(
                    file.map_err(|error| Failure::file("open", path, &error))?,
                ))
            }
        };
        let name = self.name.as_deref().map(Reference::parse).transpose();
        let name = name.map_err(Failure::new)?;
        let mut query = Query::new()
            .set("fromSrc", if remote { &self.source } else { "-" })
            .set("message", &self.message)
            .opt("repo", name.as_ref().map(|name| &name.name))
            .opt("tag", name.as_ref().and_then(|name| name.tag.as_ref()))
            .opt("platform", self.platform.as_ref());
        for change in &self.change {
            query = query.set("changes", change);
        }
        let engine = app.engine().await?;
        let body = body.map(|body| ("application/x-tar", body));
        let response = engine.send("/images/create", &query, body).await?;
        let to = if app.json { To::Json } else { To::Stdout };
        progress::show(Lines::new(response), to).await
    }
}

fn stream(reader: impl AsyncRead + Send + Sync + 'static) -> Body {
    let chunks = ReaderStream::with_capacity(reader, CHUNK).map_ok(Frame::data);
    BodyExt::boxed(StreamBody::new(chunks))
}
