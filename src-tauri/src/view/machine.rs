//! The machine as the page shows it.

use client::wire;
use serde::Serialize;
use ts_rs::TS;

use super::Problem;

/// The machine that the engine runs in.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    /// Its state.
    #[ts(
        type = "'absent' | 'creating' | 'stopped' | 'starting' | 'running' | 'stopping' | 'failed'"
    )]
    state: wire::State,
    /// What runs it.
    #[ts(type = "'qemu' | 'native'")]
    driver: wire::Driver,
    /// `kvm`, `hvf`, `whpx` or `tcg`.
    accelerator: Option<String>,
    /// Why the faster accelerators were passed over.
    accelerator_note: Option<String>,
    /// Milliseconds of the last boot.
    boot_ms: Option<u64>,
    /// The steps of the current or last start, in order.
    steps: Vec<Step>,
    /// Virtual processors.
    cpus: Option<u32>,
    /// Memory in bytes.
    memory_bytes: Option<u64>,
    /// Size of the data disk in bytes.
    disk_bytes: Option<u64>,
    /// Bytes that the data disk takes on the host.
    disk_used_bytes: Option<u64>,
    /// Things that don't work on this host.
    warnings: Vec<String>,
    /// Why the machine is in state `failed`.
    error: Option<Problem>,
    /// Fit for `DOCKER_HOST`.
    endpoint: String,
    /// slipwayd's version.
    version: String,
}

/// One step of a start.
#[derive(Debug, Clone, Serialize, TS)]
struct Step {
    /// `prepare`, `linux`, `storage`, `engine`, `api`.
    name: String,
    /// How long it took; `null` while it runs.
    ms: Option<u64>,
}

/// What the page needs to know about the program around it, once.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct About {
    /// The window's version.
    pub(crate) version: String,
    /// `linux`, `macos` or `windows`.
    pub(crate) os: String,
    /// The folder that holds all state.
    pub(crate) home: String,
}

impl From<wire::Status> for Machine {
    fn from(status: wire::Status) -> Self {
        let machine = status.machine;
        Self {
            state: machine.state,
            driver: machine.driver,
            accelerator: machine.accelerator,
            accelerator_note: machine.accelerator_note,
            boot_ms: machine.boot_ms,
            steps: machine
                .steps
                .into_iter()
                .map(|step| Step {
                    name: step.name,
                    ms: step.ms,
                })
                .collect(),
            cpus: machine.cpus,
            memory_bytes: machine.memory_bytes,
            disk_bytes: machine.disk_bytes,
            disk_used_bytes: machine.disk_used_bytes,
            warnings: machine.warnings,
            error: machine.error.map(Problem::from),
            endpoint: status.api.endpoint,
            version: status.version,
        }
    }
}
