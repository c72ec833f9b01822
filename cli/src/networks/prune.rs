//! `slipway network prune`.

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::{Query, json, query_filter};
use crate::failure::Failure;
use crate::{output, question};

/// `slipway network prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Those that hold only: until=24h, label=x, …
    #[arg(long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    /// Ask nothing
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        if !self.force {
            question::sure(
                "network prune",
                "WARNING! This will remove all custom networks not used by at least one container.",
            )?;
        }
        let engine = app.engine().await?;
        let query = Query::new().filters(&self.filter);
        let pruned: Value = json(engine.send("/networks/prune", &query, None).await?).await?;
        if app.json {
            output::json(&pruned);
            return Ok(());
        }
        let deleted = pruned["NetworksDeleted"].as_array();
        let names: Vec<&str> = deleted
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !names.is_empty() {
            output::line(&format!("Deleted Networks:\n{}\n", names.join("\n")));
        }
        Ok(())
    }
}
