//! `slipway rmi`.

use clap::Args;

use crate::app::App;
use crate::engine::{Query, json, models, segment};
use crate::failure::Failure;
use crate::output;

/// `slipway rmi`.
#[derive(Debug, Args)]
pub(crate) struct Rmi {
    /// Remove images that stopped containers use, and don't mind those that don't exist
    #[arg(short, long)]
    force: bool,
    /// Keep parents that have no name
    #[arg(long)]
    no_prune: bool,
    /// Names or ids
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Rmi {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new()
            .flag("force", self.force)
            .flag("noprune", self.no_prune);
        let mut failures = Vec::new();
        for name in &self.images {
            let path = format!("/images/{}", segment(name));
            let removed = match engine.delete(&path, &query).await {
                Ok(response) => json::<Vec<models::ImageRemoved>>(response).await,
                Err(error) => Err(error),
            };
            match removed {
                Ok(removed) => removed.iter().for_each(|effect| print(app, effect)),
                Err(error) if self.force && error.is_not_found() => {
                    output::note(&error.to_string());
                }
                Err(error) => failures.push(error.into()),
            }
        }
        Failure::all(failures)
    }
}

fn print(app: &App, effect: &models::ImageRemoved) {
    let (word, what) = match (&effect.deleted, &effect.untagged) {
        (Some(id), _) => ("Deleted", id),
        (None, Some(name)) => ("Untagged", name),
        (None, None) => return,
    };
    if app.json {
        output::json(&serde_json::json!({ word.to_lowercase(): what }));
    } else {
        output::line(&format!("{word}: {what}"));
    }
}
