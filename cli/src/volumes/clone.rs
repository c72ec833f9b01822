//! `slipway volume clone`.

use clap::Args;
use serde_json::Value;

use super::{own, warn_of};
use crate::app::App;
use crate::engine::{Query, json};
use crate::failure::Failure;
use crate::output;

/// `slipway volume clone`.
#[derive(Debug, Args)]
pub(crate) struct Clone {
    /// Pause the containers that use it while it is copied
    #[arg(long)]
    pause: bool,
    /// The volume to copy
    #[arg(value_name = "FROM")]
    from: String,
    /// The new one's name
    #[arg(value_name = "TO")]
    to: String,
}

impl Clone {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().set("to", &self.to).flag("pause", self.pause);
        let answer = engine.send(&own(&self.from, "clone"), &query, None).await?;
        let cloned: Value = json(answer).await?;
        warn_of(&cloned["Writers"], "--pause");
        if app.json {
            output::json(&cloned);
        } else {
            output::line(&self.to);
        }
        Ok(())
    }
}
