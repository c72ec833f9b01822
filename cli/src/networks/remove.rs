//! `slipway network rm`.

use clap::Args;

use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::output;

/// `slipway network rm`.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Don't mind those that don't exist
    #[arg(short, long)]
    force: bool,
    /// Names or ids
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

impl Rm {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let mut failures = Vec::new();
        for name in &self.networks {
            let path = format!("/networks/{}", segment(name));
            let outcome = match engine.delete(&path, &Query::new()).await {
                Err(error) if self.force && error.is_not_found() => continue,
                outcome => outcome.map_err(Failure::from),
            };
            if app.json {
                let error = outcome.as_ref().err().map(Failure::message);
                output::json(&serde_json::json!({"network": name, "error": error}));
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
