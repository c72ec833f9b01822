//! `slipway volume prune`.

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::{Query, json, query_filter};
use crate::failure::Failure;
use crate::format::size;
use crate::{output, question};

/// `slipway volume prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Those with a name, too
    #[arg(short, long)]
    all: bool,
    /// Those that hold only: label=x, label!=x
    #[arg(long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    /// Ask nothing
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        if !self.force {
            let kind = if self.all { "local" } else { "anonymous local" };
            let warning = format!(
                "WARNING! This will remove all {kind} volumes not used by at least one container."
            );
            question::sure("volume prune", &warning)?;
        }
        let mut filters = self.filter;
        if self.all {
            filters.push(("all".to_owned(), "true".to_owned()));
        }
        let engine = app.engine().await?;
        let query = Query::new().filters(&filters);
        let pruned: Value = json(engine.send("/volumes/prune", &query, None).await?).await?;
        if app.json {
            output::json(&pruned);
            return Ok(());
        }
        let deleted = pruned["VolumesDeleted"].as_array();
        let names: Vec<&str> = deleted
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if !names.is_empty() {
            output::line(&format!("Deleted Volumes:\n{}\n", names.join("\n")));
        }
        let reclaimed = pruned["SpaceReclaimed"].as_u64().unwrap_or(0);
        output::line(&format!(
            "Total reclaimed space: {}",
            size::decimal4(reclaimed)
        ));
        Ok(())
    }
}
