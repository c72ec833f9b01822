//! One process that the warden runs for the engine, from the fork to the engine's `Forget`.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use runtime::cgroup::Cgroup;

use crate::poller::Token;
use crate::protocol::{Exit, Failure, ProcessState, Target};
use crate::streams::Streams;

/// How long after a process's end its streams may be held open by processes it left behind.
pub(crate) const LEFT_OVER: Duration = Duration::from_millis(200);

/// How long such a process may go on writing without a pause.
pub(crate) const FLOOD: Duration = Duration::from_secs(5);

/// How long an exit is held back for a client that does not read, as in Docker. What it has not
/// taken by then is kept for it.
pub(crate) const SLOW_CLIENT: Duration = Duration::from_secs(2);

/// In the place of a request's number: who asked is gone.
pub(crate) const NOBODY: u64 = 0;

/// How far it is.
pub(crate) enum Phase {
    /// The child sets itself up and reports over the channel; the engine waits for the reply.
    Starting {
        /// The engine's request, or [`NOBODY`].
        seq: u64,
        /// Where the child reports.
        channel: OwnedFd,
        /// The channel's registration.
        token: Token,
        /// What it reported, when it failed.
        failure: Option<Failure>,
        /// What could not be done as it was asked for.
        warnings: Vec<String>,
    },
    /// It runs.
    Running,
    /// It has ended, its output is still on its way.
    Draining {
        /// How it ended.
        exit: Exit,
        /// When.
        since: Instant,
    },
    /// It has ended and the engine was told.
    Exited(Exit),
}

/// The process.
pub(crate) struct Process {
    /// The engine's name for it.
    pub(crate) target: Target,
    /// In our pid namespace.
    pub(crate) pid: i32,
    /// Of it.
    pub(crate) pidfd: OwnedFd,
    /// RFC 3339.
    pub(crate) started_at: String,
    /// How far it is.
    pub(crate) phase: Phase,
    /// Its streams.
    pub(crate) streams: Streams,
    /// Its container's; shared by exec sessions.
    pub(crate) cgroup: Option<Cgroup>,
}

impl Process {
    /// Whether it can take signals and clients.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Running)
    }

    /// For the engine; `None` while it is not known whether it starts.
    pub(crate) fn state(&self) -> Option<ProcessState> {
        let exit = match &self.phase {
            Phase::Starting { .. } => return None,
            Phase::Running | Phase::Draining { .. } => None,
            Phase::Exited(exit) => Some(exit.clone()),
        };
        Some(ProcessState {
            target: self.target.clone(),
            pid: self.pid,
            started_at: self.started_at.clone(),
            exit,
        })
    }

    /// When something is to be decided though nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Draining { since, .. } if self.streams.is_drained() => {
                Some(*since + SLOW_CLIENT)
            }
            Phase::Draining { since, .. } => {
                let elapsed = since.elapsed();
                let next = [LEFT_OVER, SLOW_CLIENT]
                    .into_iter()
                    .find(|at| elapsed < *at);
                Some(*since + next.unwrap_or(FLOOD))
            }
            _ => None,
        }
    }
}
