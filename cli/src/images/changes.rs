//! `slipway image diff`.

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::format::size;
use crate::format::text::short_id;
use crate::output;

/// `slipway image diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The first image
    #[arg(value_name = "IMAGE")]
    from: String,
    /// The second
    #[arg(value_name = "IMAGE")]
    to: String,
}

impl Diff {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().set("from", &self.from).set("to", &self.to);
        let changes: Value = engine.get("/slipway/images/diff", &query).await?;
        if app.json {
            output::json(&changes);
            return Ok(());
        }
        let list = |key: &str| changes[key].as_array().cloned().unwrap_or_default();
        let bytes = |side: &str| changes[side]["Size"].as_i64().unwrap_or(0);
        output::line(&format!(
            "{} {} -> {} {}",
            short_id(changes["From"]["Id"].as_str().unwrap_or_default()),
            size::decimal(bytes("From")),
            short_id(changes["To"]["Id"].as_str().unwrap_or_default()),
            size::decimal(bytes("To")),
        ));
        output::line(&format!(
            "layers: {} shared, {} removed, {} added",
            list("SharedLayers").len(),
            list("RemovedLayers").len(),
            list("AddedLayers").len()
        ));
        for setting in list("Config") {
            let name = setting["Name"].as_str().unwrap_or_default();
            output::line(&format!(
                "config {name}: {} -> {}",
                setting["Before"], setting["After"]
            ));
        }
        list("Files").iter().for_each(print);
        Ok(())
    }
}

fn print(file: &Value) {
    let (letter, side, layer) = match file["Change"].as_str() {
        Some("added") => ('A', "SizeAfter", "LayerAfter"),
        Some("removed") => ('D', "SizeBefore", "LayerBefore"),
        _ => ('C', "SizeAfter", "LayerAfter"),
    };
    output::line(&format!(
        "{letter} {} {} (layer {})",
        file["Path"].as_str().unwrap_or_default(),
        size::decimal(file[side].as_i64().unwrap_or(0)),
        file[layer],
    ));
}
