//! `slipway network`: Docker's verbs for networks.

pub(crate) mod connect;
pub(crate) mod create;
mod ipam;
pub(crate) mod list;
pub(crate) mod prune;
pub(crate) mod remove;
mod subnets;

use clap::{Args, Subcommand};

use crate::app::App;
use crate::containers::inspect;
use crate::engine::{Query, segment};
use crate::failure::Failure;

/// `slipway network`.
#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    /// List networks
    #[command(visible_alias = "list")]
    Ls(list::Ls),
    /// Make a network
    Create(Box<create::Create>),
    /// Print all that is known of networks, as JSON
    Inspect(Inspect),
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm(remove::Rm),
    /// Remove networks that no container uses
    Prune(prune::Prune),
    /// Connect a container to a network
    Connect(Box<connect::Connect>),
    /// Disconnect a container from a network
    Disconnect(connect::Disconnect),
    /// Where subnets come from when a network names none
    Subnets(subnets::Subnets),
}

impl Network {
    /// Does it.
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Ls(verb) => verb.act(app).await,
            Self::Create(verb) => verb.act(app).await,
            Self::Inspect(verb) => verb.act(app).await,
            Self::Rm(verb) => verb.act(app).await,
            Self::Prune(verb) => verb.act(app).await,
            Self::Connect(verb) => verb.act(app).await,
            Self::Disconnect(verb) => verb.act(app).await,
            Self::Subnets(verb) => verb.act(app).await,
        }
    }
}

/// `slipway network inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Print this for each, such as '{{.Driver}}'
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Say more, for finding out what is wrong
    #[arg(short, long)]
    verbose: bool,
    /// Names or ids
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

impl Inspect {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let paths = self
            .networks
            .iter()
            .map(|name| format!("/networks/{}", segment(name)));
        let query = Query::new().flag("verbose", self.verbose);
        inspect::each(app, self.format.as_deref(), paths.collect(), &query).await
    }
}
