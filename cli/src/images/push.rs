//! `slipway push`.

use clap::Args;

use crate::app::App;
use crate::engine::{Engine, Error, Lines, Query, segment};
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
        push(&engine, &reference.name, tag.as_deref(), to).await
    }
}

async fn push(engine: &Engine, name: &str, tag: Option<&str>, to: To) -> Result<(), Failure> {
    let path = format!("/images/{}/push", segment(name));
    let query = Query::new().opt("tag", tag);
    match engine.send(&path, &query, None).await {
        Ok(response) => progress::show(Lines::new(response), to).await,
        // An engine without the route says so as for any unknown page.
        Err(Error::Refused { status, message })
            if status == 501 || (status == 404 && message.contains("page not found")) =>
        {
            Err(
                Failure::new("this version of Slipway cannot push images to a registry yet").hint(
                    format!(
                        "write it to an archive with `slipway save -o image.tar {name}` \
                         and push that with another tool"
                    ),
                ),
            )
        }
        Err(error) => Err(error.into()),
    }
}
