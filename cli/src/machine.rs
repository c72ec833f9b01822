//! The machine that the containers run in.

pub(crate) mod diagnose;
mod logs;
pub(crate) mod ready;
mod start;
pub(crate) mod status;
mod steps;
mod stop;

use clap::Subcommand;

use crate::app::App;
use crate::failure::Failure;

/// `slipway machine`.
#[derive(Debug, Subcommand)]
pub(crate) enum Machine {
    /// Start the machine
    Start(start::Start),
    /// Stop its containers and shut it down
    Stop(stop::Stop),
    /// Stop it and start it again
    Restart(start::Restart),
    /// Show its state
    Status(status::StatusArgs),
    /// Print what its console has said
    Logs(logs::Logs),
}

impl Machine {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Start(verb) => verb.act(app).await,
            Self::Stop(verb) => verb.act(app).await,
            Self::Restart(verb) => verb.act(app).await,
            Self::Status(verb) => verb.act(app).await,
            Self::Logs(verb) => verb.act(app).await,
        }
    }
}
