//! What slipwayd says about the machine, under `/slipway/machine` on the API socket and in
//! `slipway status --json`. Field names are a stable outside face.

use serde::{Deserialize, Serialize};

use crate::Home;

/// `GET /slipway/machine`, and `slipway status --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The machine.
    pub machine: Machine,
    /// Where clients connect.
    pub api: Api,
    /// slipwayd's version.
    pub version: String,
}

impl Status {
    /// The status of a machine that does not run and of which nothing more is known.
    #[must_use]
    pub fn at_rest(home: &Home, driver: Driver, state: State) -> Self {
        Self {
            machine: Machine {
                state,
                driver,
                accelerator: None,
                accelerator_note: None,
                pid: None,
                snapshot: false,
                boot_ms: None,
                steps: Vec::new(),
                cpus: None,
                memory_bytes: None,
                disk_bytes: None,
                disk_used_bytes: None,
                ports: Vec::new(),
                warnings: Vec::new(),
                error: None,
            },
            api: Api {
                endpoint: home.endpoint().to_string(),
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Where clients connect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Api {
    /// `unix:///…/docker.sock` or `npipe:////./pipe/slipway`: fit for `DOCKER_HOST`.
    pub endpoint: String,
}

/// The machine that the engine runs in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Its state.
    pub state: State,
    /// What runs it.
    pub driver: Driver,
    /// `kvm`, `hvf`, `whpx` or `tcg`; `null` before the first start and in native mode.
    pub accelerator: Option<String>,
    /// Why the faster accelerators were passed over, in words.
    pub accelerator_note: Option<String>,
    /// Process id of QEMU, or of the warden in native mode.
    pub pid: Option<u32>,
    /// Whether the current or last start came from a snapshot of a booted machine.
    pub snapshot: bool,
    /// Milliseconds from the start of QEMU to the API's first answer.
    pub boot_ms: Option<u64>,
    /// The steps of the current or last start, in order.
    pub steps: Vec<Step>,
    /// Virtual processors.
    pub cpus: Option<u32>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Size of the data disk in bytes, as the guest sees it.
    pub disk_bytes: Option<u64>,
    /// Bytes that the data disk takes on the host now.
    pub disk_used_bytes: Option<u64>,
    /// Published ports that are open on this computer; natively the engine opens them itself.
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    /// Things that don't work on this host, in words.
    pub warnings: Vec<String>,
    /// Why the machine is in state `failed`.
    pub error: Option<Problem>,
}

/// A published port that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// `0.0.0.0:8080`.
    pub address: String,
    /// Names of the containers behind it.
    pub containers: Vec<String>,
}

/// The states of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Never started: no data disk yet.
    Absent,
    /// Making the data disk.
    Creating,
    /// Not running.
    Stopped,
    /// Booting.
    Starting,
    /// The engine answers.
    Running,
    /// Shutting down.
    Stopping,
    /// The last start failed, or the machine died.
    Failed,
}

/// What runs the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// A virtual machine under QEMU.
    Qemu,
    /// The engine on this Linux host itself, as root.
    Native,
}

/// One step of a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `prepare`, `linux`, `storage`, `engine`, `api`.
    pub name: String,
    /// How long it took; `null` while it runs.
    pub ms: Option<u64>,
}

/// What went wrong: what happened, why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What happened.
    pub message: String,
    /// Why, if it is known.
    pub cause: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// Last lines of the machine's console, if they help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub console: Vec<String>,
}

/// Body of `POST /slipway/machine/start` and `/restart`; all fields are optional.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StartRequest {
    /// Driver to use from now on; the last one (at first QEMU) when absent.
    pub driver: Option<Driver>,
}

/// Body of `POST /slipway/machine/stop`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StopRequest {
    /// Seconds until the stop is forced; 30 when absent.
    pub timeout_s: Option<u64>,
}

/// A line of the NDJSON that start, stop, restart and `GET /slipway/machine/events` answer with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Update {
    /// The status has changed (state, a step begun or ended).
    Status {
        /// All of it.
        status: Box<Status>,
    },
    /// The request is done; the last line.
    Done,
    /// The request failed; the last line.
    Failed {
        /// Why.
        problem: Problem,
    },
}
