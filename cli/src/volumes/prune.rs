//! `slipway volume prune`.

use clap::Args;

use crate::app::App;
use crate::engine::query_filter;
use crate::failure::Failure;
use crate::{pruned, question};

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
        let Some(pruned) = pruned::ask(app, "/volumes/prune", &filters).await? else {
            return Ok(());
        };
        pruned::names("Deleted Volumes", &pruned["VolumesDeleted"]);
        pruned::room(&pruned);
        Ok(())
    }
}
