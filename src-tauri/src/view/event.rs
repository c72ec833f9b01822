//! What the page is told without asking.

use serde::Serialize;
use ts_rs::TS;

use super::{ContainerRow, ImageRow, Machine, Problem};

/// A change in what the window shows.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum WindowEvent {
    /// The machine is now like this.
    Machine {
        /// All of it.
        machine: Box<Machine>,
    },
    /// slipwayd does not answer.
    NoService {
        /// Why.
        problem: Problem,
    },
    /// Whether the engine answers; sent when that changes.
    Contact {
        /// It does.
        answering: bool,
        /// When it last did: Unix milliseconds.
        last: i64,
    },
    /// Containers have changed.
    Containers {
        /// Forget all others.
        all: bool,
        /// New and changed ones.
        changed: Vec<ContainerRow>,
        /// Ids of those that are gone.
        gone: Vec<String>,
        /// When this was read: Unix milliseconds.
        at: i64,
    },
    /// All images, because some have changed.
    Images {
        /// All of them.
        images: Vec<ImageRow>,
    },
}
