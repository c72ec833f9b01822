//! `slipway volume create`.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::output;
use crate::run::env::label;

/// `slipway volume create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The driver; local is all there is
    #[arg(short, long, value_name = "NAME", default_value = "local")]
    driver: String,
    /// Note this on it
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<String>,
    /// Options of the driver: type, device, o
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// Its name; a random one if there is none
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
}

impl Create {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let body = json!({
            "Name": self.name.unwrap_or_default(),
            "Driver": self.driver,
            "DriverOpts": pairs(&self.opt),
            "Labels": pairs(&self.label),
        });
        let engine = app.engine().await?;
        let volume: Value = engine.post("/volumes/create", &Query::new(), &body).await?;
        if app.json {
            output::json(&volume);
        } else {
            output::line(volume["Name"].as_str().unwrap_or_default());
        }
        Ok(())
    }
}

/// `KEY=VALUE` words as the API has them.
pub(crate) fn pairs(words: &[String]) -> Map<String, Value> {
    words
        .iter()
        .map(|word| {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            (key.to_owned(), json!(value))
        })
        .collect()
}
