//! What the engine and the warden say to each other over a Unix stream socket: each message is a
//! little-endian `u32` length and that many bytes of JSON; descriptors ride on the first byte.
//! The engine sends [`Request`]s, the warden answers each with one [`Reply`] of the same `seq`, and
//! sends [`Event`]s at any time. The warden serves one engine at a time; a new connection replaces
//! a dead one and starts with [`Call::List`].

use std::path::PathBuf;

use runtime::spec::{ContainerSpec, Process, Resources};
use serde::{Deserialize, Serialize};

/// One call from the engine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the engine; repeated in the reply.
    pub seq: u64,
    /// What is asked.
    pub call: Call,
}

/// The calls.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// Every process the warden knows, with exits that were not yet forgotten. The answer waits
    /// until it is known of each whether it starts.
    List,
    /// Start a container. Descriptors: its root, a mount that is attached nowhere, and one an entry
    /// of `attach`, our end of a socket pair.
    Start {
        /// The container.
        spec: Box<ContainerSpec>,
        /// Clients that attached before the start.
        attach: Vec<AttachStreams>,
    },
    /// Start another process in a running container. One descriptor an entry of `attach`.
    Exec {
        /// Container id.
        container: String,
        /// Exec session id, 64 hexadecimal digits.
        exec: String,
        /// The process.
        process: Box<Process>,
        /// Clients attached from the start.
        attach: Vec<AttachStreams>,
    },
    /// Attach a client to a running process: one descriptor.
    Attach {
        /// The process.
        target: Target,
        /// Which streams it wants.
        streams: AttachStreams,
    },
    /// Send a signal to a process.
    Signal {
        /// The process.
        target: Target,
        /// Signal number.
        signal: i32,
    },
    /// Set the terminal's size.
    Resize {
        /// The process.
        target: Target,
        /// Rows.
        rows: u16,
        /// Columns.
        cols: u16,
    },
    /// Freeze or thaw a container's cgroup.
    Freeze {
        /// Container id.
        container: String,
        /// True freezes, false thaws.
        frozen: bool,
    },
    /// Change the limits of a running container.
    Update {
        /// Container id.
        container: String,
        /// All of its limits.
        resources: Box<Resources>,
    },
    /// Put a compressed copy in the place of a rotated log file.
    ReplaceLog {
        /// Container id.
        container: String,
        /// The rotated file's, which may have moved on meanwhile.
        inode: u64,
        /// The copy; it is taken away in any case.
        compressed: PathBuf,
    },
    /// Forget a process that has exited: the engine has recorded its exit.
    Forget {
        /// The process.
        target: Target,
    },
    /// Kill what is left, unmount everything, and power the machine off (in native mode: exit).
    /// The engine has already stopped the containers.
    PowerOff,
}

/// A container's first process, or one of its exec sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// Container id.
    pub container: String,
    /// Exec session id; `None` for the first process.
    pub exec: Option<String>,
}

/// Which of a process's streams an attached client wants. The descriptor that goes with it is one
/// end of a `SOCK_STREAM` pair. Towards the client: Docker's multiplexed frames (8-byte header), or
/// bytes as they are; end of file after the process has exited and all output is through.
/// From the client: bytes for standard input; half-close is end of input.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct AttachStreams {
    /// Feed what the client writes to standard input.
    pub stdin: bool,
    /// Send standard output.
    pub stdout: bool,
    /// Send standard error.
    pub stderr: bool,
    /// Send bytes without frames.
    pub raw: bool,
}

/// What the warden sends.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Message {
    /// The answer to a request.
    Reply(Reply),
    /// Something happened.
    Event(Event),
}

/// The answer to the request with the same `seq`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The request's.
    pub seq: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a call.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Done, nothing to tell.
    Done,
    /// A process runs.
    Started {
        /// Its pid in the warden's pid namespace.
        pid: i32,
        /// When, RFC 3339 with nanoseconds.
        started_at: String,
        /// What could not be done as it was asked for.
        #[serde(default)]
        warnings: Vec<String>,
    },
    /// The answer to [`Call::Update`].
    Updated {
        /// What could not be limited.
        warnings: Vec<String>,
    },
    /// The answer to [`Call::List`].
    Processes {
        /// All of them.
        processes: Vec<ProcessState>,
    },
    /// The call failed and changed nothing.
    Failed(Failure),
}

/// Why a call failed.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which kind.
    pub reason: FailureReason,
    /// What happened, in words: `exec: "foo": executable file not found in $PATH`.
    pub message: String,
}

/// The kinds of [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureReason {
    /// The program is not there (Docker's exit code 127).
    CommandNotFound,
    /// The program may not be run (126).
    CommandNotExecutable,
    /// The user or group is not in the image.
    UnknownUser,
    /// No such process.
    NotFound,
    /// The specification can't be met as it is written.
    InvalidSpec,
    /// The kernel refused a step.
    System,
}

/// A process the warden knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessState {
    /// Which.
    pub target: Target,
    /// Its pid.
    pub pid: i32,
    /// When it started, RFC 3339 with nanoseconds.
    pub started_at: String,
    /// How it ended, if it has.
    pub exit: Option<Exit>,
}

/// How a process ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exit {
    /// Docker's exit code: the process's, or 128 + signal.
    pub code: i32,
    /// The kernel killed it for memory.
    pub oom_killed: bool,
    /// When, RFC 3339 with nanoseconds.
    pub finished_at: String,
}

/// Something happened by itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A process ended; all its output is in the log and with the attached clients.
    Exited {
        /// Which.
        target: Target,
        /// How.
        exit: Exit,
    },
    /// A log was rotated whose old files are to be compressed.
    LogRotated {
        /// Container id.
        container: String,
    },
}
