//! `slipway volume`: Docker's verbs for volumes, and our own for their files.

pub(crate) mod backup;
pub(crate) mod browse;
pub(crate) mod clone;
pub(crate) mod create;
pub(crate) mod list;
mod meter;
pub(crate) mod prune;
pub(crate) mod remove;
pub(crate) mod restore;

use clap::{Args, Subcommand};

use crate::app::App;
use crate::containers::inspect;
use crate::engine::{Query, segment};
use crate::failure::Failure;

/// `slipway volume`.
#[derive(Debug, Subcommand)]
pub(crate) enum Volume {
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(list::Ls),
    /// Make a volume
    Create(create::Create),
    /// Print all that is known of volumes, as JSON
    Inspect(Inspect),
    /// Remove volumes that no container uses
    #[command(visible_alias = "remove")]
    Rm(remove::Rm),
    /// Remove volumes that no container uses and nobody has named
    Prune(prune::Prune),
    /// Write a volume's files to an archive (tar.zst)
    Backup(backup::Backup),
    /// Make an archive's files those of a volume
    Restore(restore::Restore),
    /// Make a volume with a copy of another one's files
    Clone(clone::Clone),
    /// List the files of a volume
    Browse(browse::Browse),
    /// Print a file of a volume
    Cat(browse::Cat),
}

impl Volume {
    /// Does it.
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Ls(verb) => verb.act(app).await,
            Self::Create(verb) => verb.act(app).await,
            Self::Inspect(verb) => verb.act(app).await,
            Self::Rm(verb) => verb.act(app).await,
            Self::Prune(verb) => verb.act(app).await,
            Self::Backup(verb) => verb.act(app).await,
            Self::Restore(verb) => verb.act(app).await,
            Self::Clone(verb) => verb.act(app).await,
            Self::Browse(verb) => verb.act(app).await,
            Self::Cat(verb) => verb.act(app).await,
        }
    }
}

/// `slipway volume inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Print this for each, such as '{{.Mountpoint}}'
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Names
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

impl Inspect {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let paths = self
            .volumes
            .iter()
            .map(|name| format!("/volumes/{}", segment(name)));
        inspect::each(app, self.format.as_deref(), paths.collect(), &Query::new()).await
    }
}

/// The path of what our own verbs do with a volume.
fn own(name: &str, verb: &str) -> String {
    format!("/slipway/volumes/{}/{verb}", segment(name))
}

/// One line for containers that may write while a volume is read.
fn warn_of(writers: &serde_json::Value, flag: &str) {
    let names: Vec<&str> = writers
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .collect();
    if !names.is_empty() {
        crate::output::note(&format!(
            "{} may write meanwhile; {flag} pauses them for that time",
            names.join(", ")
        ));
    }
}
