//! `slipway machine stop`.

use clap::Args;
use client::wire::{State, StopRequest};
use client::{Client, Error};

use super::steps::{self, Shown};
use crate::app::App;
use crate::failure::Failure;
use crate::output;

/// `slipway machine stop`.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Seconds until it is forced; 30 when left out
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

impl Stop {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        // Nothing is started in order to be stopped.
        let client = match Client::connect(&app.home()?).await {
            Ok(client) => client,
            Err(Error::Connect { .. }) => {
                say(app, "The machine does not run.");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let state = client.status().await?.machine.state;
        if matches!(state, State::Absent | State::Stopped) {
            say(app, "The machine does not run.");
            return Ok(());
        }
        let request = StopRequest {
            timeout_s: self.timeout,
        };
        let shown = if app.json { Shown::Json } else { Shown::AtOnce };
        steps::follow(client.stop(request).await?, shown).await?;
        say(app, "The machine has stopped.");
        Ok(())
    }
}

fn say(app: &App, words: &str) {
    if !app.json {
        output::line(words);
    }
}
