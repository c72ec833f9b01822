//! Detaching a process on Unix.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Its own process group: Ctrl-C in the caller's terminal does not reach it.
pub(super) fn detach(command: &mut Command) {
    command.process_group(0);
}
