//! Lines of a container's output as the page shows them.

use serde::Serialize;
use ts_rs::TS;

/// Some lines of a container's output.
#[derive(Debug, Clone, Default, Serialize, TS)]
pub(crate) struct LogBatch {
    /// The lines, oldest first.
    pub(crate) lines: Vec<LogLine>,
    /// Whether the stream has ended: nothing follows.
    pub(crate) end: bool,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub(crate) struct LogLine {
    /// When it was written, RFC 3339 with nanoseconds.
    pub(crate) t: String,
    /// Where it was written.
    pub(crate) s: LogSource,
    /// The text, with its escape sequences, without its line end.
    pub(crate) m: String,
}

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogSource {
    /// Standard output, or the terminal.
    Out,
    /// Standard error.
    Err,
}
