//! `slipway image prune`.

use clap::Args;

use crate::app::App;
use crate::engine::query_filter;
use crate::failure::Failure;
use crate::{output, pruned};

/// `slipway image prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Those that hold only: until=24h, label=x, …
    #[arg(long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    /// Taken for docker's sake: nothing is asked
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let mut filters = self.filter;
        if self.all {
            filters.push(("dangling".to_owned(), "false".to_owned()));
        }
        let Some(pruned) = pruned::ask(app, "/images/prune", &filters).await? else {
            return Ok(());
        };
        for step in pruned["ImagesDeleted"].as_array().into_iter().flatten() {
            if let Some(name) = step["Untagged"].as_str() {
                output::line(&format!("Untagged: {name}"));
            } else if let Some(id) = step["Deleted"].as_str() {
                output::line(&format!("Deleted: {id}"));
            }
        }
        pruned::room(&pruned);
        Ok(())
    }
}
