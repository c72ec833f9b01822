//! `slipway commit`.

use clap::{ArgAction, Args};
use serde::Deserialize;

use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::format::reference::Reference;
use crate::output;

/// `slipway commit`.
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// Who made the image, as in "Ann <ann@example.org>"
    #[arg(short, long, default_value = "", hide_default_value = true)]
    author: String,
    /// Change the image's configuration by a Dockerfile instruction, such as 'CMD ["ls"]'
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// A remark for the image's history
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
    /// Freeze the container meanwhile
    #[arg(short, long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true")]
    pause: bool,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// A name for the image
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    id: String,
}

impl Commit {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let name = match self.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => Some(Reference::parse(name).map_err(Failure::new)?.or_latest()),
            None => None,
        };
        if name.as_ref().is_some_and(|name| name.digest.is_some()) {
            return Err(Failure::new(
                "refusing to create a tag with a digest reference",
            ));
        }
        let mut query = Query::new()
            .set("container", &self.container)
            .opt("repo", name.as_ref().map(|name| name.name.clone()))
            .opt("tag", name.as_ref().and_then(|name| name.tag.clone()))
            .set("author", &self.author)
            .set("comment", &self.message);
        for change in &self.changes {
            query = query.set("changes", change);
        }
        if !self.pause {
            query = query.set("pause", 0);
        }
        let engine = app.engine().await?;
        let made: Made = engine.post("/commit", &query, &()).await?;
        if app.json {
            output::json(&serde_json::json!({"image": made.id}));
        } else {
            output::line(&made.id);
        }
        Ok(())
    }
}
