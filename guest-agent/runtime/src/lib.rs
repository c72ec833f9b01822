//! One container's process: namespaces, cgroup v2, mounts, capabilities, seccomp, limits.
//!
//! [`start`] and [`exec`] fork with `clone3` and return at once; the child reports over
//! [`Starting::channel`] while it sets itself up. They must be called from a process with a single
//! thread: the child goes on running ordinary Rust code, which is sound only when no other thread
//! can have held a lock at the moment of the fork. Only [`view`], which forks nothing, is for anyone.

mod child;
mod launch;
mod report;
mod sys;

pub mod cgroup;
pub mod error;
pub mod seccomp;
pub mod spec;
pub mod view;

/// The program that `--init` puts before a container's own: static, a few kilobytes, started as
/// `docker-init -- PROGRAM ARGUMENTS`.
pub const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/docker-init"));

pub use error::{Error, Failure, Kind, errno_text};
pub use launch::{ExecIn, Starting, Stdio, exec, start};
pub use report::{Report, receive};
pub use sys::send_signal;
