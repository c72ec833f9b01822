//! The engine as a child: one that is kept, with one end of a socket pair as descriptor 3.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::kept::{Kept, Program};
use crate::signals;

/// The engine's supervisor.
pub(crate) struct Agent {
    pub(crate) kept: Kept,
}

impl Agent {
    pub(crate) fn new(program: Program) -> Self {
        Self {
            kept: Kept::new(program, std::time::Duration::ZERO),
        }
    }

    /// Starts it and returns our end of the socket.
    pub(crate) fn start(&mut self) -> std::io::Result<OwnedFd> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        self.kept.start(|command: &mut Command| {
            command.args(["--warden-fd", "3"]);
            signals::inherit_as_3(command, theirs.as_fd());
        })?;
        Ok(ours)
    }
}
