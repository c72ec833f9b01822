//! What the next slipwayd must know to adopt a running machine: `run/machine.json`.

use std::fs;

use client::Home;
use client::wire::{Driver, Problem, Step};
use serde::{Deserialize, Serialize};

use super::channel::Address;
use crate::problem::{Explain, file, problem};
use crate::settings::replace;

/// A machine that runs, or ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) driver: Driver,
    /// The process.
    pub(crate) pid: u32,
    /// When the process was made, where it can't be known by its arguments.
    #[serde(default)]
    pub(crate) made: Option<u64>,
    /// The machine's own name for itself: proves that the process is still it.
    pub(crate) uuid: String,
    /// Milliseconds since 1970.
    pub(crate) started_ms: u64,
    /// The monitor; native machines have none.
    pub(crate) monitor: Option<Address>,
    /// The link.
    pub(crate) link: Address,
    /// The link for published ports; native machines have none.
    #[serde(default)]
    pub(crate) ports: Option<Address>,
    pub(crate) accelerator: Option<String>,
    pub(crate) accelerator_note: Option<String>,
    pub(crate) cpus: Option<u32>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) disk_bytes: Option<u64>,
    /// Whether it came from its snapshot.
    #[serde(default)]
    pub(crate) snapshot: bool,
    /// Known when the engine has answered.
    pub(crate) boot_ms: Option<u64>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
}

impl Record {
    pub(crate) fn exists(home: &Home) -> bool {
        home.machine_record().exists()
    }

    /// `None` when there is none, or none that can be read: then nothing can be adopted.
    pub(crate) fn load(home: &Home) -> Option<Self> {
        let text = fs::read(home.machine_record()).ok()?;
        serde_json::from_slice(&text)
            .inspect_err(|error| tracing::warn!(%error, "the record of the machine is unreadable"))
            .ok()
    }

    pub(crate) fn save(&self, home: &Home) -> Result<(), Problem> {
        let path = home.machine_record();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| problem("cannot write the machine's record").because(error))?;
        replace(&path, &text).map_err(|error| file("write", &path, &error))
    }

    /// The machine has ended: removes the record and its sockets.
    pub(crate) fn clear(&self, home: &Home) {
        for address in self.monitor.iter().chain([&self.link]).chain(&self.ports) {
            address.remove();
        }
        Self::remove(home);
    }

    pub(crate) fn remove(home: &Home) {
        // It may be gone already.
        let _ = fs::remove_file(home.machine_record());
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|time| u64::try_from(time.as_millis()).ok())
        .unwrap_or(0)
}
