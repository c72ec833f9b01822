//! `slipway export`.

use std::path::PathBuf;

use clap::Args;

use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::images::save;
use crate::output;

/// `slipway export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Write this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Export {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        if self.output.is_none() && output::out_is_terminal() {
            return Err(Failure::new(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            ));
        }
        let engine = app.engine().await?;
        let path = format!("/containers/{}/export", segment(&self.container));
        let body = engine.open(&path, &Query::new()).await?.into_body();
        save::write(body, self.output.as_deref()).await?;
        if app.json && self.output.is_some() {
            output::json(&serde_json::json!({"container": self.container, "file": self.output}));
        }
        Ok(())
    }
}
