//! `slipway pull`, and pulling on behalf of `run`.

use clap::Args;

use super::credentials::header_for;
use crate::app::App;
use crate::engine::{Engine, Lines, Query};
use crate::failure::Failure;
use crate::format::reference::Reference;
use crate::output;
use crate::progress::{self, To};

/// `slipway pull`.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Get all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Print the name only
    #[arg(short, long)]
    quiet: bool,
    /// Platform of the image, such as linux/arm64
    #[arg(long)]
    platform: Option<String>,
    /// The image: busybox, busybox:1.36, host:5000/name@sha256:…
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    name: String,
}

impl Pull {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let mut reference = Reference::parse(&self.name).map_err(Failure::new)?;
        if self.all_tags {
            if !reference.is_name_only() {
                return Err(Failure::new("tag can't be used with --all-tags/-a"));
            }
        } else if reference.is_name_only() {
            reference = reference.or_latest();
            if !self.quiet && !app.json {
                output::line("Using default tag: latest");
            }
        }
        let to = match (app.json, self.quiet) {
            (true, _) => To::Json,
            (false, true) => To::Nowhere,
            (false, false) => To::Stdout,
        };
        let engine = app.engine().await?;
        pull(&engine, &reference, self.platform.as_deref(), to).await?;
        if !app.json {
            output::line(&reference.full());
        }
        Ok(())
    }
}

/// Pulls an image and shows how far it is. A reference without a tag and digest means all tags.
///
/// # Errors
/// The engine's words.
pub(crate) async fn pull(
    engine: &Engine,
    reference: &Reference,
    platform: Option<&str>,
    to: To,
) -> Result<(), Failure> {
    let query = Query::new()
        .set("fromImage", &reference.name)
        .opt("tag", reference.digest.as_ref().or(reference.tag.as_ref()))
        .opt("platform", platform);
    let engine = engine
        .clone()
        .with_credentials(header_for(&reference.name)?);
    let response = engine.send("/images/create", &query, None).await?;
    progress::show(Lines::new(response), to).await
}
