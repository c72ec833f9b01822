//! Images as the page shows them.

use serde::Serialize;
use ts_rs::TS;

use super::Problem;

/// A row of the list of images.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageRow {
    /// Full id, with `sha256:`.
    pub(crate) id: String,
    /// `name:tag`s; empty for a dangling image.
    pub(crate) tags: Vec<String>,
    /// `name@sha256:…`.
    pub(crate) digests: Vec<String>,
    /// Created, Unix seconds.
    pub(crate) created: i64,
    /// Size in bytes.
    pub(crate) size: i64,
}

/// How a pull is going.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum PullEvent {
    /// All layers as they are now.
    Progress {
        /// The layers, in the order in which they were first named.
        layers: Vec<LayerProgress>,
        /// The last line that was not about a layer.
        note: Option<String>,
    },
    /// The last event: the image is there.
    Done,
    /// The last event: the person gave up.
    Cancelled,
    /// The last event: it did not work.
    Failed {
        /// Why.
        problem: Problem,
    },
}

/// One layer of a pull.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LayerProgress {
    /// Short id.
    pub(crate) id: String,
    /// The engine's word for what it does: `Downloading`, `Extracting`, `Pull complete`.
    pub(crate) phase: String,
    /// Bytes so far in this phase.
    pub(crate) current: Option<i64>,
    /// Bytes in all.
    pub(crate) total: Option<i64>,
}
