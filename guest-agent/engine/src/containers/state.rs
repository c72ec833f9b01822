//! The states of a container and what Docker calls them.

use serde::{Deserialize, Serialize};

/// Where a container is in its life. The engine moves it; nobody else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Never ran.
    Created,
    /// A start is under way; nobody else may start, and exits that arrive now are kept for it.
    Starting {
        /// Its restart policy starts it: who asks is told `restarting`, not how it ended last.
        #[serde(default)]
        again: bool,
    },
    /// Its first process runs.
    Running {
        /// Process id on the machine.
        pid: i32,
    },
    /// It runs, frozen.
    Paused {
        /// Process id on the machine.
        pid: i32,
    },
    /// It ended and waits to be started again by its restart policy.
    Restarting,
    /// It ran and ended.
    Exited,
    /// Its files are being removed.
    Dead,
}

impl State {
    /// Whether Docker says `Running: true`.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(
            self,
            Self::Running { .. }
                | Self::Paused { .. }
                | Self::Restarting
                | Self::Starting { again: true }
        )
    }

    /// Whether a start is under way.
    #[must_use]
    pub fn is_starting(self) -> bool {
        matches!(self, Self::Starting { .. })
    }

    /// Whether it is between two runs: Docker says `Restarting: true`.
    #[must_use]
    pub fn is_restarting(self) -> bool {
        matches!(self, Self::Restarting | Self::Starting { again: true })
    }

    /// Process id, when there is a process.
    #[must_use]
    pub fn pid(self) -> Option<i32> {
        match self {
            Self::Running { pid } | Self::Paused { pid } => Some(pid),
            _ => None,
        }
    }
}
