//! What the loop can be woken by.

use crate::log::Stream;

/// Numbers processes in the order of their start; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessKey(pub(crate) u64);

/// Numbers the clients of all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientKey(pub(crate) u64);

/// The owner of a watched descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The signal descriptor.
    Signals,
    /// The engine's socket.
    Engine,
    /// A starting process reports.
    Report(ProcessKey),
    /// A process wrote something.
    Output(ProcessKey, Stream),
    /// A process's standard input has room.
    Input(ProcessKey),
    /// An attached client.
    Client(ProcessKey, ClientKey),
}
