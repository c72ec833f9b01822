//! `slipway push`.

use clap::Args;

use super::credentials::header_for;
use crate::app::App;
use crate::engine::{Engine, Lines, Query, segment};
use crate::failure::Failure;
use crate::format::reference::Reference;
use crate::progress::{self, To};

/// `slipway push`.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Send all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Print nothing unless it fails
    #[arg(short, long)]
    quiet: bool,
    /// The image, whose name says the registry: host:5000/name:tag
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
}

impl Push {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let reference = Reference::parse(&self.name).map_err(Failure::new)?;
        let tag = if self.all_tags {
            if !reference.is_name_only() {
                return Err(Failure::new("tag can't be used with --all-tags/-a"));
            }
            None
        } else {
            reference.clone().or_latest().tag
        };
        let to = match (app.json, self.quiet) {
            (true, _) => To::Json,
            (false, true) => To::Nowhere,
            (false, false) => To::Stdout,
        };
        let engine = app.engine().await?;
        let engine = engine.with_credentials(header_for(&reference.name)?);
        push(&engine, &reference.name, tag.as_deref(), to).await
    }
}

async fn push(engine: &Engine, name: &str, tag: Option<&str>, to: To) -> Result<(), Failure> {
    let path = format!("/images/{}/push", segment(name));
    let query = Query::new().opt("tag", tag);
    let response = engine.send(&path, &query, None).await?;
    progress::show(Lines::new(response), to).await
}
