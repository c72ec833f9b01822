//! `slipway diff`.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::output;

/// `slipway diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// A change as the engine tells it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    path: String,
    kind: u8,
}

impl Diff {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let path = format!("/containers/{}/changes", segment(&self.container));
        let changes: Option<Vec<Change>> = engine.get(&path, &Query::new()).await?;
        for change in changes.unwrap_or_default() {
            if app.json {
                output::json(&change);
                continue;
            }
            let letter = match change.kind {
                0 => 'C',
                1 => 'A',
                _ => 'D',
            };
            output::line(&format!("{letter} {}", change.path));
        }
        Ok(())
    }
}
