//! `slipway image log`, `rollback` and `retention`.

use clap::Args;
use serde_json::{Value, json};

use crate::app::App;
use crate::engine::{Query, body};
use crate::failure::Failure;
use crate::format::size;
use crate::format::table::Table;
use crate::format::text::short_id;
use crate::output;

/// `slipway image log`.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// Don't shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// The name; without one, every name that has a history
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

impl Log {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let Some(name) = &self.name else {
            let names: Vec<String> = engine.get("/slipway/images/names", &Query::new()).await?;
            if app.json {
                output::json(&names);
            } else {
                names.iter().for_each(|name| output::line(name));
            }
            return Ok(());
        };
        let query = Query::new().set("name", name);
        let log: Value = engine.get("/slipway/images/log", &query).await?;
        if app.json {
            output::json(&log);
            return Ok(());
        }
        let header = [
            "VERSION", "IMAGE ID", "WHEN", "HOW", "BY", "SIZE", "SOURCE", "STATE",
        ];
        let mut table = Table::new(&header);
        for version in log["Versions"].as_array().into_iter().flatten() {
            table.row(self.row(version));
        }
        output::out(table.render().as_bytes());
        Ok(())
    }

    fn row(&self, version: &Value) -> Vec<String> {
        let text = |key: &str| version[key].as_str().unwrap_or_default().to_owned();
        let image = text("Image");
        let when = text("Time");
        let when: String = when.split('.').next().unwrap_or_default().replace('T', " ");
        let state = match (version["Current"] == true, version["Available"] == true) {
            (true, _) => "current",
            (false, true) => "here",
            (false, false) => "removed",
        };
        vec![
            version["Version"].to_string(),
            if self.no_trunc {
                image
            } else {
                short_id(&image).to_owned()
            },
            when.trim_end_matches('Z').to_owned(),
            text("How"),
            text("By"),
            size::decimal(version["Size"].as_i64().unwrap_or(0)),
            source(&version["Build"]),
            state.to_owned(),
        ]
    }
}

/// What a build was made from: `https://…@0123456 (Dockerfile, builder)`.
fn source(build: &Value) -> String {
    let text = |key: &str| build[key].as_str().unwrap_or_default();
    let mut words = text("Source").to_owned();
    if !text("Revision").is_empty() {
        words += &format!("@{}", text("Revision"));
    }
    let made: Vec<&str> = [text("Dockerfile"), text("Builder")]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect();
    if !made.is_empty() {
        words += &format!(" ({})", made.join(", "));
    }
    words.trim().to_owned()
}

/// `slipway image rollback`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The name to give back
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
    /// A version's number, or the start of its image's or manifest's digest; the one before when
    /// nothing is said
    #[arg(value_name = "N|DIGEST", default_value = "")]
    to: String,
}

impl Rollback {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().set("name", &self.name).set("to", &self.to);
        let response = engine
            .send("/slipway/images/rollback", &query, None)
            .await?;
        let done: Value = crate::engine::json(response).await?;
        if app.json {
            output::json(&done);
        } else {
            let text = |key: &str| done[key].as_str().unwrap_or_default();
            output::line(&format!(
                "{} is {} again",
                text("Name"),
                short_id(text("Image"))
            ));
        }
        Ok(())
    }
}

/// `slipway image retention`.
#[derive(Debug, Args)]
pub(crate) struct Retention {
    /// Keep this many earlier versions of every name when pruning
    #[arg(long, value_name = "N")]
    versions: Option<u32>,
    /// Keep versions that were current within this many days
    #[arg(long, value_name = "N")]
    days: Option<u32>,
}

impl Retention {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let path = "/slipway/images/retention";
        let mut kept: Value = engine.get(path, &Query::new()).await?;
        if self.versions.is_some() || self.days.is_some() {
            if let Some(versions) = self.versions {
                kept["Versions"] = json!(versions);
            }
            if let Some(days) = self.days {
                kept["Days"] = json!(days);
            }
            engine.put(path, &Query::new(), body(&kept)).await?;
        }
        if app.json {
            output::json(&kept);
        } else {
            output::line(&format!(
                "pruning keeps {} earlier versions of every name, and those of the last {} days",
                kept["Versions"], kept["Days"]
            ));
        }
        Ok(())
    }
}
