//! `slipway volume browse` and `cat`: into a volume without a container.

use clap::Args;
use serde_json::Value;

use super::own;
use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::format::mode::mode;
use crate::format::size;
use crate::format::table::Table;
use crate::images::save;
use crate::output;

/// `slipway volume browse`.
#[derive(Debug, Args)]
pub(crate) struct Browse {
    /// Print the file at PATH
    #[arg(long)]
    cat: bool,
    /// Its name
    #[arg(value_name = "VOLUME")]
    volume: String,
    /// A directory or file in it
    #[arg(value_name = "PATH", default_value = "/")]
    path: String,
}

impl Browse {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        if self.cat {
            let (volume, path) = (self.volume, self.path);
            return Cat { volume, path }.act(app).await;
        }
        let engine = app.engine().await?;
        let query = Query::new().set("path", &self.path).set("limit", 1_000_000);
        let tree: Value = engine.get(&own(&self.volume, "tree"), &query).await?;
        let entries = tree["Entries"].as_array().into_iter().flatten();
        if app.json {
            entries.for_each(output::json);
            return Ok(());
        }
        let mut table = Table::new(&["MODE", "OWNER", "SIZE", "MODIFIED", "NAME"]);
        for entry in entries {
            table.row(row(entry));
        }
        output::out(table.render().as_bytes());
        Ok(())
    }
}

fn row(entry: &Value) -> Vec<String> {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let target = match text("Target") {
        "" => String::new(),
        target => format!(" -> {target}"),
    };
    // To the second.
    let modified = text("Modified");
    let modified = modified.split_once('.').map_or(modified, |(time, _)| time);
    vec![
        mode(text("Kind"), entry["Mode"].as_u64().unwrap_or(0)),
        format!("{}:{}", entry["Uid"], entry["Gid"]),
        size::decimal(entry["Size"].as_i64().unwrap_or(0)),
        modified.trim_end_matches('Z').replace('T', " "),
        format!("{}{target}", text("Path")),
    ]
}

/// `slipway volume cat`.
#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// Its name
    #[arg(value_name = "VOLUME")]
    volume: String,
    /// File in it
    #[arg(value_name = "PATH")]
    path: String,
}

impl Cat {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().set("path", &self.path);
        let answer = engine.open(&own(&self.volume, "file"), &query).await?;
        save::write(answer.into_body(), None).await
    }
}
