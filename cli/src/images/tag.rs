//! `slipway tag`.

use clap::Args;

use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::format::reference::Reference;
use crate::output;

/// `slipway tag`.
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// The image's name or id
    #[arg(value_name = "SOURCE[:TAG]")]
    source: String,
    /// Its other name
    #[arg(value_name = "TARGET[:TAG]")]
    target: String,
}

impl Tag {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let target = Reference::parse(&self.target).map_err(|error| {
            Failure::new(format!("{:?} is not a name for an image", self.target)).because(error)
        })?;
        if target.digest.is_some() {
            return Err(Failure::new(
                "refusing to create a tag with a digest reference",
            ));
        }
        let target = target.or_latest();
        let engine = app.engine().await?;
        let path = format!("/images/{}/tag", segment(&self.source));
        let query = Query::new()
            .set("repo", &target.name)
            .opt("tag", target.tag.as_ref());
        engine.act(&path, &query).await?;
        if app.json {
            output::json(&serde_json::json!({"image": self.source, "tag": target.to_string()}));
        }
        Ok(())
    }
}
