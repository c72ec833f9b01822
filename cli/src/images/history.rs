//! `slipway history`.

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::format::table::Table;
use crate::format::text::short_id;
use crate::format::{ago, size};
use crate::output;

/// As long as Docker's column is.
const CREATED_BY: usize = 45;

/// `slipway history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Don't shorten anything
    #[arg(long)]
    no_trunc: bool,
    /// Print ids only
    #[arg(short, long)]
    quiet: bool,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl History {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let path = format!("/images/{}/history", segment(&self.image));
        let steps: Vec<Value> = engine.get(&path, &Query::new()).await?;
        if app.json {
            output::json(&steps);
            return Ok(());
        }
        let mut table = Table::new(&["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"]);
        for step in &steps {
            let text = |key: &str| step[key].as_str().unwrap_or_default();
            let id = if self.no_trunc {
                text("Id")
            } else {
                short_id(text("Id"))
            };
            if self.quiet {
                output::line(id);
                continue;
            }
            table.row(vec![
                id.to_owned(),
                ago::since(step["Created"].as_i64().unwrap_or(0)),
                self.cut(text("CreatedBy")),
                size::decimal(step["Size"].as_i64().unwrap_or(0)),
                text("Comment").to_owned(),
            ]);
        }
        if !self.quiet {
            output::out(table.render().as_bytes());
        }
        Ok(())
    }

    fn cut(&self, text: &str) -> String {
        let plain = text.replace('\t', " ");
        if self.no_trunc || plain.chars().count() <= CREATED_BY {
            return plain;
        }
        plain.chars().take(CREATED_BY - 1).chain(['…']).collect()
    }
}
