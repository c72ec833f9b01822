//! The configuration document of a committed image, with the fields that dockerd writes.

use images::{CommittedLayer, Image};
use serde_json::{Map, Value, json};

use crate::containers::{Config, Record};
use crate::time::Time;

/// What goes into it.
pub(super) struct Facts<'a> {
    pub(super) record: &'a Record,
    pub(super) image: &'a Image,
    pub(super) layer: CommittedLayer,
    pub(super) config: &'a Config,
    pub(super) author: &'a str,
    pub(super) comment: &'a str,
}

/// Writes the document.
pub(super) fn write(facts: &Facts<'_>) -> Result<Vec<u8>, images::Error> {
    let created = Time::now().to_string();
    let parent = facts.image.config.value();
    let mut history = match parent.get("history") {
        Some(Value::Array(steps)) => steps.clone(),
        _ => Vec::new(),
    };
    history.push(step(facts, &created));
    let mut layers: Vec<Value> = facts.image.layers.iter().map(|id| json!(id)).collect();
    layers.extend(facts.layer.diff_id.map(|id| json!(id)));
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("architecture", json!(facts.image.architecture));
    if !facts.author.is_empty() {
        put("author", json!(facts.author));
    }
    put("config", to_value(facts.config)?);
    put("container", json!(facts.record.id));
    put("container_config", to_value(&facts.record.config)?);
    put("created", json!(created));
    put("docker_version", json!(crate::VERSION));
    put("history", Value::Array(history));
    put("os", json!(facts.record.platform));
    for key in ["os.version", "os.features"] {
        if let Some(value) = parent.get(key) {
            put(key, value.clone());
        }
    }
    put("rootfs", json!({ "type": "layers", "diff_ids": layers }));
    if !facts.image.variant.is_empty() {
        put("variant", json!(facts.image.variant));
    }
    serde_json::to_vec(&document).map_err(invalid)
}

/// How this image came about.
fn step(facts: &Facts<'_>, created: &str) -> Value {
    let mut step = Map::new();
    step.insert("created".into(), json!(created));
    let command = facts.record.config.cmd.as_deref().unwrap_or_default();
    for (key, text) in [
        ("created_by", command.join(" ").as_str()),
        ("author", facts.author),
        ("comment", facts.comment),
    ] {
        if !text.is_empty() {
            step.insert(key.into(), json!(text));
        }
    }
    if facts.layer.diff_id.is_none() {
        step.insert("empty_layer".into(), json!(true));
    }
    Value::Object(step)
}

pub(super) fn to_value(config: &Config) -> Result<Value, images::Error> {
    serde_json::to_value(config).map_err(invalid)
}

fn invalid(error: serde_json::Error) -> images::Error {
    images::Error::Invalid(format!("writing the image's configuration: {error}"))
}
