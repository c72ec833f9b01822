//! Containers: one file a thing that can be done to them.

mod attach;
mod capabilities;
mod config;
mod copy_up;
mod create;
mod detach;
mod env;
pub(crate) mod exec;
mod exec_user;
mod exit;
mod find;
mod host_config;
mod host_files;
mod list;
mod log_reader;
mod log_watch;
mod logs;
mod model;
mod mounts;
mod names;
mod pause;
mod prune;
mod record;
mod remove;
mod rename;
mod signals;
mod spec;
mod start;
mod state;
mod stop;
mod top;
mod validate;
mod wait;

pub use attach::{AttachRequest, Attachment};
pub use config::{Config, one_or_many};
pub use create::{CreateRequest, Created};
pub use detach::{DetachScanner, Scanned};
pub use exec::{ExecRequest, ExecSnapshot, ExecStart};
pub use host_config::{
    BindOptions, HostConfig, LogConfig, MountRequest, PortBinding, RestartPolicy, TmpfsOptions,
    Ulimit,
};
pub use list::ListRequest;
pub use logs::{LogChunks, LogRequest};
pub use model::Snapshot;
pub use prune::Pruned;
pub use record::{MountPoint, Record};
pub use remove::RemoveRequest;
pub use state::State;
pub use top::ProcessTable;
pub use wait::{WaitCondition, WaitOutcome};

pub(crate) use exit::wants_restart;
pub(crate) use find::Index;
pub(crate) use model::Container;
