//! Containers as the page shows them.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A row of the list of containers.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerRow {
    /// Full id.
    pub(crate) id: String,
    /// Name without the leading slash.
    pub(crate) name: String,
    /// Image as it was named.
    pub(crate) image: String,
    /// Image id.
    pub(crate) image_id: String,
    /// Command line.
    pub(crate) command: String,
    /// Created, Unix seconds.
    pub(crate) created: i64,
    /// Its state.
    pub(crate) state: ContainerState,
    /// Result of its health check, if it has one.
    pub(crate) health: Option<Health>,
    /// Exit code, when it has ended.
    pub(crate) exit_code: Option<i64>,
    /// Since when it runs, or when it ended: Unix milliseconds.
    pub(crate) since: Option<i64>,
    /// Whether the kernel killed it for its memory limit.
    pub(crate) out_of_memory: bool,
    /// How many times it was restarted, while restarting.
    pub(crate) attempt: Option<i64>,
    /// Compose project.
    pub(crate) project: Option<String>,
    /// Folder of the Compose project.
    pub(crate) project_dir: Option<String>,
    /// Compose service.
    pub(crate) service: Option<String>,
    /// Ports.
    pub(crate) ports: Vec<Port>,
}

/// The states of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ContainerState {
    /// Never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Waiting for its next start.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Broken.
    Dead,
}

/// Result of a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Health {
    /// Not known yet.
    Starting,
    /// Good.
    Healthy,
    /// Bad.
    Unhealthy,
}

/// A port of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub(crate) struct Port {
    /// Port on the host, when published.
    pub(crate) host: Option<u16>,
    /// Port in the container.
    pub(crate) container: u16,
    /// `tcp` or `udp`.
    pub(crate) protocol: String,
}

/// Everything that the Overview and Inspect tabs show.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerDetail {
    /// Full id.
    pub(crate) id: String,
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// The arguments that were given, or the image's: without the entry point.
    pub(crate) command: Vec<String>,
    /// Working directory.
    pub(crate) working_dir: String,
    /// User.
    pub(crate) user: String,
    /// Host name.
    pub(crate) hostname: String,
    /// Environment, `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Labels.
    pub(crate) labels: Vec<(String, String)>,
    /// When it was created (RFC 3339).
    pub(crate) created: Option<String>,
    /// When it was last started.
    pub(crate) started: Option<String>,
    /// When it last ended.
    pub(crate) finished: Option<String>,
    /// Why it could not start.
    pub(crate) error: Option<String>,
    /// Process id in the machine.
    pub(crate) pid: Option<i64>,
    /// How often it was restarted.
    pub(crate) restarts: i64,
    /// `no`, `always`, `on-failure`, `unless-stopped`.
    pub(crate) restart_policy: String,
    /// Memory limit in bytes.
    pub(crate) memory_limit: Option<i64>,
    /// Whether it has a terminal.
    pub(crate) tty: bool,
    /// Mounts.
    pub(crate) mounts: Vec<Mount>,
    /// Addresses.
    pub(crate) networks: Vec<NetworkAddress>,
    /// The engine's whole answer, indented JSON.
    pub(crate) json: String,
}

/// A mount of a container.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    /// `bind`, `volume` or `tmpfs`.
    pub(crate) kind: String,
    /// Where it comes from.
    pub(crate) source: String,
    /// Where it is in the container.
    pub(crate) target: String,
    /// Whether the container may write.
    pub(crate) writable: bool,
}

/// A container's address in a network.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkAddress {
    /// The network.
    pub(crate) network: String,
    /// IPv4 address.
    pub(crate) address: String,
}

/// What the run sheet asks for.
#[derive(Debug, Clone, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunSpec {
    /// Image name or id.
    pub(crate) image: String,
    /// Name; the engine chooses one when absent.
    pub(crate) name: Option<String>,
    /// Command; the image's own when empty.
    pub(crate) command: Vec<String>,
    /// Environment, `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Ports to publish.
    pub(crate) ports: Vec<PublishSpec>,
    /// Volumes, `NAME:/path`.
    pub(crate) volumes: Vec<String>,
}

/// A port that the run sheet wants published.
#[derive(Debug, Clone, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublishSpec {
    /// This computer's port; any free one when empty.
    pub(crate) host: String,
    /// The container's, `80/tcp`.
    pub(crate) container: String,
}
