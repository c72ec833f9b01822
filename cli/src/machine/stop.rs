//! `slipway machine stop`.

use clap::Args;
use client::running_service;
use client::wire::{State, StopRequest, Update};

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
        // No machine is started in order to be stopped.
        let Some((client, status)) = running_service(&app.home()?).await? else {
            not_running(app);
            return Ok(());
        };
        if matches!(status.machine.state, State::Absent | State::Stopped) {
            not_running(app);
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

/// With `--json` the same last line as after a stop.
fn not_running(app: &App) {
    if app.json {
        output::json(&Update::Done);
    } else {
        output::line("The machine does not run.");
    }
}

fn say(app: &App, words: &str) {
    if !app.json {
        output::line(words);
    }
}
