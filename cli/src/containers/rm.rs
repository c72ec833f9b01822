//! `slipway rm`.

use clap::Args;

use super::{Done, each};
use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;

/// `slipway rm`.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Kill containers that run, and don't mind those that don't exist
    #[arg(short, long)]
    force: bool,
    /// Remove their anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// Remove the link, not the container
    #[arg(short, long)]
    link: bool,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Rm {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new()
            .flag("v", self.volumes)
            .flag("link", self.link)
            .flag("force", self.force);
        if self
            .containers
            .iter()
            .any(|name| name.trim_matches('/').is_empty())
        {
            return Err(Failure::usage("container name cannot be empty"));
        }
        let (engine, query, force) = (&engine, &query, self.force);
        each(app, &self.containers, |name| async move {
            let path = format!("/containers/{}", segment(name.trim_matches('/')));
            match engine.delete(&path, query).await {
                Err(error) if force && error.is_not_found() => Ok(Done::Nothing(error.to_string())),
                outcome => outcome.map(|_| Done::Yes),
            }
        })
        .await
    }
}
