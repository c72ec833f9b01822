//! `slipway volume rm`.

use clap::Args;

use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::output;

/// `slipway volume rm`.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Don't mind those that don't exist
    #[arg(short, long)]
    force: bool,
    /// Names
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

impl Rm {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().flag("force", self.force);
        let mut failures = Vec::new();
        for name in &self.volumes {
            let path = format!("/volumes/{}", segment(name));
            let outcome = engine.delete(&path, &query).await.map_err(Failure::from);
            if app.json {
                let error = outcome.as_ref().err().map(Failure::message);
                output::json(&serde_json::json!({"volume": name, "error": error}));
            }
            match outcome {
                Ok(_) if app.json => {}
                Ok(_) => output::line(name),
                Err(failure) => failures.push(failure),
            }
        }
        Failure::all(failures)
    }
}
