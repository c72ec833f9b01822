//! What the prunes of images, volumes and networks have in common.

use serde_json::Value;

use crate::app::App;
use crate::engine::{Query, json};
use crate::failure::Failure;
use crate::format::size;
use crate::output;

/// Has the engine prune. What it removed, unless that was asked for as JSON and is printed.
pub(crate) async fn ask(
    app: &App,
    path: &str,
    filters: &[(String, String)],
) -> Result<Option<Value>, Failure> {
    let engine = app.engine().await?;
    let query = Query::new().filters(filters);
    let pruned: Value = json(engine.send(path, &query, None).await?).await?;
    if app.json {
        output::json(&pruned);
        return Ok(None);
    }
    Ok(Some(pruned))
}

/// Prints the removed names below a heading, if there are any.
pub(crate) fn names(heading: &str, deleted: &Value) {
    let deleted = deleted.as_array();
    let names: Vec<&str> = deleted
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !names.is_empty() {
        output::line(&format!("{heading}:\n{}\n", names.join("\n")));
    }
}

/// Prints how much room there is again.
pub(crate) fn room(pruned: &Value) {
    let reclaimed = pruned["SpaceReclaimed"].as_u64().unwrap_or(0);
    output::line(&format!(
        "Total reclaimed space: {}",
        size::decimal4(reclaimed)
    ));
}
