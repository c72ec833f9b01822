//! `slipway top`.

use clap::Args;

use crate::app::App;
use crate::engine::{Query, models, segment};
use crate::failure::Failure;
use crate::format::table::Table;
use crate::output;

/// `slipway top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The container, then options for ps
    #[arg(value_name = "CONTAINER", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

impl Top {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let [container, options @ ..] = self.words.as_slice() else {
            return Err(Failure::usage("top needs a container"));
        };
        let engine = app.engine().await?;
        let path = format!("/containers/{}/top", segment(container));
        let options = (!options.is_empty()).then(|| options.join(" "));
        let query = Query::new().opt("ps_args", options);
        if app.json {
            let value: serde_json::Value = engine.get(&path, &query).await?;
            output::json(&value);
            return Ok(());
        }
        let processes: models::Processes = engine.get(&path, &query).await?;
        let titles: Vec<&str> = processes.titles.iter().map(String::as_str).collect();
        let mut table = Table::with_narrowest(&titles, 20);
        for row in processes.processes {
            table.row(row);
        }
        output::out(table.render().as_bytes());
        Ok(())
    }
}
