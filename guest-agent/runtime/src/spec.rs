//! What the engine asks for when it starts a container or an exec session: plain data that
//! crosses the socket to the warden as JSON. Every name that must be looked up *inside* the
//! container's root (users, groups, the program on `PATH`, the working directory) is still a
//! string here and is resolved in the child, after `pivot_root`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A whole container but for its root, which comes as a mount ([`crate::view::root`]): namespaces,
/// cgroup and first process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Remount the root read-only once everything is in place.
    pub readonly_root: bool,
    /// UTS host name.
    pub hostname: String,
    /// NIS domain name; empty leaves the kernel's.
    pub domainname: String,
    /// The first process (pid 1 of the container).
    pub process: Process,
    /// Mounts on top of the root, in order. The runtime adds the standard ones itself
    /// (`/proc`, `/dev`, `/dev/pts`, `/dev/shm`, `/dev/mqueue`, `/sys`, `/sys/fs/cgroup`).
    pub mounts: Vec<Mount>,
    /// Which namespaces are new and which are shared.
    pub namespaces: Namespaces,
    /// Directory of the container's cgroup, relative to the cgroup v2 mount.
    pub cgroup: PathBuf,
    /// Limits written into that cgroup.
    pub resources: Resources,
    /// Paths hidden from the container; empty for a privileged one.
    pub masked_paths: Vec<String>,
    /// Paths remounted read-only.
    pub readonly_paths: Vec<String>,
    /// `net.*`, `kernel.*`, `fs.mqueue.*` settings of the new namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// What is mounted on `/dev/shm`.
    pub shm: SharedMemory,
    /// Device nodes to make beside the standard ones.
    pub devices: Vec<Device>,
    /// Devices that may be used beside the standard ones. A privileged container may use all.
    pub device_rules: Vec<DeviceRule>,
    /// All devices and all capabilities, nothing masked.
    pub privileged: bool,
    /// Its own cgroup may be changed from inside.
    pub writable_cgroups: bool,
    /// What the warden does with the output.
    pub log: LogSpec,
}

/// The container's `/dev/shm`.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum SharedMemory {
    /// An empty one of its own with so many bytes; 0 leaves the kernel's default.
    Own(u64),
    /// The directory that it shares with others.
    Shared(PathBuf),
    /// None at all.
    Absent,
}

/// The two kinds of device nodes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A block device.
    Block,
    /// A character device.
    Character,
}

/// A device node to make.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Device {
    /// Absolute path in the container.
    pub path: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Devices and what may be done with them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct DeviceRule {
    /// `None` is both kinds.
    pub kind: Option<DeviceKind>,
    /// `None` is every major number.
    pub major: Option<u32>,
    /// `None` is every minor number.
    pub minor: Option<u32>,
    /// Opening for reading.
    pub read: bool,
    /// Opening for writing.
    pub write: bool,
    /// Making a node.
    pub mknod: bool,
}

/// One process: a container's first, or an exec session's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; the program is looked up on the container's `PATH`.
    pub args: Vec<String>,
    /// `NAME=value`; `HOME` is added from the user's entry when absent.
    pub env: Vec<String>,
    /// Absolute; created in a container's root when it is missing, an error for exec.
    pub cwd: String,
    /// `""`, `name`, `uid`, `name:group`, `uid:gid` …, as Docker's `--user`.
    pub user: String,
    /// Supplementary groups by name or number, on top of the user's own.
    pub additional_groups: Vec<String>,
    /// Allocate a pseudo-terminal.
    pub tty: bool,
    /// Rows and columns of the terminal at start.
    pub console_size: Option<(u16, u16)>,
    /// Capability names (`CAP_CHOWN`) of the bounding, permitted and effective sets.
    pub capabilities: Vec<String>,
    /// Set `no_new_privs`.
    pub no_new_privileges: bool,
    /// `oom_score_adj`, -1000 to 1000.
    pub oom_score_adj: i32,
    /// Resource limits.
    pub rlimits: Vec<Rlimit>,
    /// System call filter.
    pub seccomp: Seccomp,
    /// Keep the process's standard input open for attached clients.
    pub open_stdin: bool,
    /// Close standard input once the first attached client that wrote to it leaves.
    pub stdin_once: bool,
}

/// A resource limit, as `setrlimit(2)`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rlimit {
    /// Docker's name without `RLIMIT_`, lower case: `nofile`.
    pub name: String,
    /// Soft limit; `u64::MAX` is unlimited.
    pub soft: u64,
    /// Hard limit; `u64::MAX` is unlimited.
    pub hard: u64,
}

/// System call filter of a process.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Seccomp {
    /// Docker's default profile.
    Default,
    /// No filter.
    Unconfined,
    /// A profile in Docker's JSON format.
    Profile(String),
}

/// A mount on top of the root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// What kind of mount.
    pub kind: MountKind,
    /// Source on the engine's side; of bind mounts only.
    pub source: PathBuf,
    /// Absolute path in the container; created when missing, never outside the root.
    pub target: String,
    /// Remount read-only.
    pub readonly: bool,
    /// Raw options: tmpfs data (`size=64m,mode=1777`), or propagation (`rprivate`), `bind` for
    /// without what is mounted below, `nonrecursive-ro` for read-only without what is mounted below.
    pub options: Vec<String>,
}

/// The kinds of [`Mount`].
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A bind mount of a file or a directory.
    Bind,
    /// An empty file system in memory.
    Tmpfs,
}

/// Where each namespace comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Namespaces {
    /// Network.
    pub net: Namespace,
    /// Process ids.
    pub pid: Namespace,
    /// System V IPC and POSIX queues.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// cgroup root.
    pub cgroup: Namespace,
}

/// One namespace of a container.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// A new one.
    New,
    /// The engine's own.
    Host,
    /// The one that this path names, such as `/run/slipway/netns/<id>` or `/proc/<pid>/ns/pid`.
    Path(PathBuf),
}

/// cgroup v2 limits; `None` leaves the kernel's default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Resources {
    /// `memory.max`, bytes.
    pub memory: Option<u64>,
    /// `memory.low`, bytes.
    pub memory_reservation: Option<u64>,
    /// Memory plus swap, bytes (Docker's meaning); -1 is unlimited.
    pub memory_swap: Option<i64>,
    /// `cpu.weight` is derived from Docker's shares (2..262144).
    pub cpu_shares: Option<u64>,
    /// `cpu.max` quota in microseconds a period.
    pub cpu_quota: Option<i64>,
    /// `cpu.max` period in microseconds.
    pub cpu_period: Option<u64>,
    /// `cpuset.cpus`, such as `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// `cpuset.mems`.
    pub cpuset_mems: Option<String>,
    /// `pids.max`; -1 or 0 is unlimited.
    pub pids: Option<i64>,
    /// `io.weight` from Docker's blkio weight (10..1000).
    pub blkio_weight: Option<u16>,
    /// The same for single devices.
    pub blkio_weight_devices: Vec<DeviceWeight>,
    /// `io.max`: limits on single devices.
    pub blkio_limits: Vec<DeviceLimit>,
}

/// The weight of a container on one block device.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct DeviceWeight {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// 10..1000, Docker's.
    pub weight: u16,
}

/// How much a container may read from and write to one block device.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct DeviceLimit {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Bytes a second.
    pub read_bps: Option<u64>,
    /// Bytes a second.
    pub write_bps: Option<u64>,
    /// Operations a second.
    pub read_iops: Option<u64>,
    /// Operations a second.
    pub write_iops: Option<u64>,
}

/// How a log's entries are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Docker's `json-file`: a JSON object a line.
    #[default]
    JsonFile,
    /// Our own compact records, for Docker's `local`.
    Local,
}

/// What happens to a container's output besides attached clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogSpec {
    /// The file; `None` keeps nothing (`--log-driver none`).
    pub path: Option<PathBuf>,
    /// How entries are written.
    pub format: LogFormat,
    /// The value of `attrs` in every `json-file` entry, a JSON object; empty leaves it out.
    pub attrs: String,
    /// Tell the engine of each rotation: it compresses.
    pub compress: bool,
    /// Rotate at this many bytes; `None` never rotates.
    pub max_size: Option<u64>,
    /// How many files are kept in all (`path`, `path.1`, …).
    pub max_files: u32,
}
