//! `slipway doctor`: checks that take a while.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::app::App;
use crate::engine::{Query, json};
use crate::failure::Failure;
use crate::format::size;
use crate::output;

/// `slipway doctor`.
#[derive(Debug, Subcommand)]
pub(crate) enum Doctor {
    /// Check the image store: every image, layer and blob
    Store(Store),
}

impl Doctor {
    /// Does it.
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Store(verb) => verb.act(app).await,
        }
    }
}

/// `slipway doctor store`.
#[derive(Debug, Args)]
pub(crate) struct Store {
    /// Look at names and sizes only, without reading everything
    #[arg(long)]
    quick: bool,
}

impl Store {
    async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().flag("quick", self.quick);
        let report: Value = json(engine.send("/slipway/images/check", &query, None).await?).await?;
        let findings = report["Findings"].as_array().cloned().unwrap_or_default();
        if app.json {
            output::json(&report);
        } else {
            for finding in &findings {
                let word = if finding["Damage"] == true {
                    "damaged"
                } else {
                    "left over"
                };
                let what = finding["What"].as_str().unwrap_or_default();
                output::line(&format!("{word}: {what}"));
            }
            output::line(&format!(
                "{} images, {} layers, {} read: {}",
                report["Images"],
                report["Layers"],
                size::decimal(report["Bytes"].as_i64().unwrap_or(0)),
                if report["Sound"] == true {
                    "sound"
                } else {
                    "not sound"
                }
            ));
        }
        if report["Sound"] == true {
            Ok(())
        } else {
            Err(Failure::silent(1))
        }
    }
}
