//! Containers: one file a thing that can be done to them.

mod attach;
mod bandwidth;
mod binds;
mod capabilities;
mod commit;
mod config;
mod create;
mod detach;
mod devices;
mod env;
pub(crate) mod exec;
mod exec_user;
mod exit;
mod files;
mod find;
mod health;
mod healthcheck;
mod host_config;
mod host_files;
mod image_mount;
mod init;
mod links;
mod list;
mod logs;
mod model;
mod mounts;
mod names;
mod pause;
mod prune;
mod record;
mod remove;
mod rename;
mod resources;
mod security;
mod shared_memory;
mod signals;
mod spec;
mod start;
mod state;
mod stats;
mod stop;
mod top;
mod update;
mod validate;
mod volumes;
mod volumes_from;
mod wait;

pub use ::runtime::cgroup::Counters;
pub use attach::{AttachRequest, Attachment, Listener};
pub use bandwidth::{Bandwidth, rate_text};
pub use commit::CommitRequest;
pub(crate) use commit::{apply_changes, config_document};
pub use config::Config;
pub use create::{CreateRequest, Created};
pub use detach::{DetachScanner, Scanned};
pub use exec::{ExecOutput, ExecRequest, ExecSnapshot, ExecStart};
pub use files::{Change, ChangeKind, Chunks, CopyIn, PathStat};
pub use health::{CheckResult, Health, HealthStatus};
pub use healthcheck::HealthConfig;
pub use host_config::{
    BindOptions, DeviceMapping, DeviceRequest, HostConfig, ImageOptions, LogConfig, MountRequest,
    PortBinding, RestartPolicy, ThrottleDevice, TmpfsOptions, Ulimit, VolumeDriver, VolumeOptions,
    WeightDevice,
};
pub use links::Link;
pub use list::ListRequest;
pub use logs::{LogChunks, LogRequest};
pub use model::Snapshot;
pub use prune::Pruned;
pub use record::{MountPoint, Reached, Record, VolumeWish};
pub use remove::RemoveRequest;
pub use state::State;
pub use stats::{NetworkCounters, Stats, Usage};
pub use top::ProcessTable;
pub use update::UpdateRequest;
pub use wait::{WaitCondition, WaitOutcome};

pub(crate) use exit::wants_restart;
pub(crate) use files::{paths, stream};
pub(crate) use find::Index;
pub(crate) use model::Container;
pub(crate) use resources::Machine;
pub(crate) use spec::CGROUPS;
