//! The parts of the Engine API's answers that this program reads. Everything is optional: an
//! answer that lacks a field still prints.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A container in `GET /containers/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerSummary {
    pub(crate) id: String,
    #[serde(deserialize_with = "null")]
    pub(crate) names: Vec<String>,
    pub(crate) image: String,
    #[serde(rename = "ImageID")]
    pub(crate) image_id: String,
    pub(crate) command: String,
    pub(crate) created: i64,
    #[serde(deserialize_with = "null")]
    pub(crate) ports: Vec<Port>,
    pub(crate) size_rw: i64,
    pub(crate) size_root_fs: i64,
    #[serde(deserialize_with = "null")]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) state: String,
    pub(crate) status: String,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Port {
    pub(crate) private_port: u16,
    #[serde(rename = "IP")]
    pub(crate) ip: String,
    pub(crate) public_port: u16,
    #[serde(rename = "Type")]
    pub(crate) kind: String,
}

/// What attaching needs of `GET /containers/{id}/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerDetails {
    pub(crate) id: String,
    pub(crate) state: ContainerState,
    pub(crate) config: ContainerConfig,
    pub(crate) host_config: HostConfig,
}

/// A container's state.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerState {
    pub(crate) running: bool,
    pub(crate) paused: bool,
    pub(crate) restarting: bool,
}

/// What a container was made with.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerConfig {
    pub(crate) tty: bool,
    pub(crate) open_stdin: bool,
}

/// What a container was made with, on the host's side.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostConfig {
    pub(crate) auto_remove: bool,
}

/// The answer to a create request.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Created {
    pub(crate) id: String,
    #[serde(deserialize_with = "null")]
    pub(crate) warnings: Vec<String>,
}

/// The answer to `wait`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Waited {
    pub(crate) status_code: i64,
    pub(crate) error: Option<WaitError>,
}

/// Why a wait failed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct WaitError {
    pub(crate) message: String,
}

/// `GET /exec/{id}/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ExecDetails {
    pub(crate) running: bool,
    pub(crate) exit_code: Option<i64>,
}

/// `GET /containers/{id}/top`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Processes {
    #[serde(deserialize_with = "null")]
    pub(crate) titles: Vec<String>,
    #[serde(deserialize_with = "null")]
    pub(crate) processes: Vec<Vec<String>>,
}

/// An image in `GET /images/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageSummary {
    pub(crate) id: String,
    #[serde(deserialize_with = "null")]
    pub(crate) repo_tags: Vec<String>,
    #[serde(deserialize_with = "null")]
    pub(crate) repo_digests: Vec<String>,
    pub(crate) created: i64,
    pub(crate) size: i64,
}

/// One effect of removing an image.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageRemoved {
    pub(crate) untagged: Option<String>,
    pub(crate) deleted: Option<String>,
}

/// A line of progress: pull, push, load.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Progress {
    pub(crate) stream: String,
    pub(crate) status: String,
    pub(crate) id: String,
    pub(crate) progress_detail: Option<ProgressDetail>,
    pub(crate) error_detail: Option<ProgressError>,
    pub(crate) error: Option<String>,
    pub(crate) aux: Option<serde_json::Value>,
}

/// How far it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProgressDetail {
    pub(crate) current: u64,
    pub(crate) total: u64,
}

/// Why it failed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProgressError {
    pub(crate) message: String,
}

/// An event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Event {
    #[serde(rename = "Type")]
    pub(crate) kind: String,
    #[serde(rename = "Action")]
    pub(crate) action: String,
    #[serde(rename = "Actor")]
    pub(crate) actor: Actor,
    pub(crate) time: i64,
    #[serde(rename = "timeNano")]
    pub(crate) time_nano: i64,
}

/// Whom an event is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Actor {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(rename = "Attributes", deserialize_with = "null")]
    pub(crate) attributes: BTreeMap<String, String>,
}

/// Go writes an empty list or map as `null`.
fn null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn gos_nulls_are_empty() {
        let summary: ContainerSummary =
            serde_json::from_str(r#"{"Id":"x","Names":null,"Ports":null,"Labels":null}"#).unwrap();
        assert_eq!(summary.id, "x");
        assert!(summary.names.is_empty() && summary.labels.is_empty());
    }
}
