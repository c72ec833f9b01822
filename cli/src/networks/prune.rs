//! `slipway network prune`.

use clap::Args;

use crate::app::App;
use crate::engine::query_filter;
use crate::failure::Failure;
use crate::{pruned, question};

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
        let Some(pruned) = pruned::ask(app, "/networks/prune", &self.filter).await? else {
            return Ok(());
        };
        pruned::names("Deleted Networks", &pruned["NetworksDeleted"]);
        Ok(())
    }
}
