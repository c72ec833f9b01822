//! `slipway image layers`, `tree`, `cat` and `waste`: into an image without running it.

use clap::Args;
use serde_json::Value;

use super::save::write;
use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::format::mode::mode;
use crate::format::size;
use crate::format::table::Table;
use crate::format::text::short_id;
use crate::output;

/// `slipway image layers`.
#[derive(Debug, Args)]
pub(crate) struct Layers {
    /// Name or id
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl Layers {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().set("name", &self.image);
        let layers: Vec<Value> = engine.get("/slipway/images/layers", &query).await?;
        if app.json {
            output::json(&layers);
            return Ok(());
        }
        let mut table = Table::new(&["LAYER", "DIFF ID", "SIZE", "KEPT AS", "CREATED BY"]);
        for layer in &layers {
            let text = |key: &str| layer[key].as_str().unwrap_or_default();
            let bytes = |key: &str| size::decimal(layer[key].as_i64().unwrap_or(0));
            table.row(vec![
                layer["Layer"].to_string(),
                short_id(text("DiffId")).to_owned(),
                bytes("Size"),
                bytes("BlobSize"),
                text("CreatedBy").chars().take(60).collect(),
            ]);
        }
        output::out(table.render().as_bytes());
        Ok(())
    }
}

/// `slipway image tree`.
#[derive(Debug, Args)]
pub(crate) struct Tree {
    /// What this layer does only, counted from 0, the lowest
    #[arg(long, value_name = "N")]
    layer: Option<u32>,
    /// Not what is in the directories below
    #[arg(long)]
    flat: bool,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Directory in it
    #[arg(value_name = "PATH", default_value = "/")]
    path: String,
}

impl Tree {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new()
            .set("name", &self.image)
            .set("path", &self.path)
            .set("limit", 1_000_000)
            .opt("layer", self.layer)
            .flag("deep", !self.flat);
        let tree: Value = engine.get("/slipway/images/tree", &query).await?;
        for entry in tree["Entries"].as_array().into_iter().flatten() {
            if app.json {
                output::json(entry);
            } else {
                output::line(&line(entry));
            }
        }
        Ok(())
    }
}

/// `A drwxr-xr-x 0:0 4.2kB /etc/x -> y`
fn line(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let change = match text("Change") {
        "added" => "A ",
        "changed" => "C ",
        "removed" => "D ",
        _ => "",
    };
    let target = match text("Target") {
        "" => String::new(),
        target => format!(" -> {target}"),
    };
    format!(
        "{change}{} {}:{} {:>8} {}{target}",
        mode(text("Kind"), entry["Mode"].as_u64().unwrap_or(0)),
        entry["Uid"],
        entry["Gid"],
        size::decimal(entry["Size"].as_i64().unwrap_or(0)),
        text("Path"),
    )
}

/// `slipway image cat`.
#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// The file of this layer, counted from 0, the lowest
    #[arg(long, value_name = "N")]
    layer: Option<u32>,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    image: String,
    /// File in it
    #[arg(value_name = "PATH")]
    path: String,
}

impl Cat {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new()
            .set("name", &self.image)
            .set("path", &self.path)
            .opt("layer", self.layer);
        let answer = engine.open("/slipway/images/file", &query).await?;
        write(answer.into_body(), None).await
    }
}

/// `slipway image waste`.
#[derive(Debug, Args)]
pub(crate) struct Waste {
    /// Name or id
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl Waste {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().set("name", &self.image);
        let waste: Value = engine.get("/slipway/images/waste", &query).await?;
        if app.json {
            output::json(&waste);
            return Ok(());
        }
        let bytes = |value: &Value| size::decimal(value.as_i64().unwrap_or(0));
        output::line(&format!(
            "{} of {} are carried for nothing",
            bytes(&waste["Wasted"]),
            bytes(&waste["Total"])
        ));
        let mut table = Table::new(&["WASTED", "COPIES", "IN THE IMAGE", "PATH"]);
        for file in waste["Files"].as_array().into_iter().flatten() {
            let here = if file["Removed"] == true { "no" } else { "yes" };
            table.row(vec![
                bytes(&file["Wasted"]),
                file["Copies"].to_string(),
                here.to_owned(),
                file["Path"].as_str().unwrap_or_default().to_owned(),
            ]);
        }
        output::out(table.render().as_bytes());
        Ok(())
    }
}
