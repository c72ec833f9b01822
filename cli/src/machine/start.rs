//! `slipway machine start` and `restart`.

use clap::{Args, ValueEnum};
use client::wire::{Driver, StartRequest, State, Status};

use super::status;
use super::steps::{self, Shown};
use crate::app::App;
use crate::failure::Failure;
use crate::output;

/// What runs the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DriverName {
    /// A virtual machine under QEMU
    Qemu,
    /// The engine on this Linux computer itself, as root
    Native,
}

/// How it is started.
#[derive(Debug, Args)]
struct HowToStart {
    /// What runs the machine from now on; as last time when left out
    #[arg(long, value_enum)]
    driver: Option<DriverName>,
}

impl HowToStart {
    fn request(&self) -> StartRequest {
        StartRequest {
            driver: self.driver.map(|driver| match driver {
                DriverName::Qemu => Driver::Qemu,
                DriverName::Native => Driver::Native,
            }),
        }
    }
}

/// `slipway machine start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    how: HowToStart,
}

/// `slipway machine restart`.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    how: HowToStart,
}

impl Start {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let client = client::ensure_service(&app.home()?).await?;
        let was_running = client.status().await?.machine.state == State::Running;
        let updates = client.start(self.how.request()).await?;
        steps::follow(updates, shown(app)).await?;
        print(app, &client.status().await?, was_running);
        Ok(())
    }
}

impl Restart {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let client = client::ensure_service(&app.home()?).await?;
        let updates = client.restart(self.how.request()).await?;
        steps::follow(updates, shown(app)).await?;
        print(app, &client.status().await?, false);
        Ok(())
    }
}

fn shown(app: &App) -> Shown {
    if app.json { Shown::Json } else { Shown::AtOnce }
}

fn print(app: &App, status: &Status, was_running: bool) {
    if app.json {
        return;
    }
    let machine = &status.machine;
    let how = status::how(machine);
    if was_running {
        output::line(&format!("The machine runs already ({how})."));
    } else {
        let took = match machine.boot_ms {
            Some(ms) => format!(" after {}", status::seconds(ms)),
            None => String::new(),
        };
        output::line(&format!("The machine runs{took} ({how})."));
    }
    for warning in &machine.warnings {
        output::note(&format!("warning: {warning}"));
    }
}
