//! `slipway search`.

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::{Query, query_filter};
use crate::failure::Failure;
use crate::format::table::Table;
use crate::output;

/// `slipway search`.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Those that hold only: is-official=true, stars=3
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    /// At most so many
    #[arg(long, default_value_t = 25)]
    limit: u32,
    /// A part of the name, with the registry in front if it is not Docker Hub
    #[arg(value_name = "TERM")]
    term: String,
}

impl Search {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new()
            .set("term", &self.term)
            .set("limit", self.limit)
            .filters(&self.filter);
        let found: Vec<Value> = engine.get("/images/search", &query).await?;
        if app.json {
            output::json(&found);
            return Ok(());
        }
        let mut table = Table::new(&["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]);
        for result in &found {
            let text = |key: &str| result[key].as_str().unwrap_or_default();
            let official = if result["is_official"] == true {
                "[OK]"
            } else {
                ""
            };
            table.row(vec![
                text("name").to_owned(),
                text("description").chars().take(45).collect(),
                result["star_count"].to_string(),
                official.to_owned(),
            ]);
        }
        output::out(table.render().as_bytes());
        Ok(())
    }
}
