//! Control events and folders on Windows.

use std::io;

use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlShutdown, ctrl_break, ctrl_c, ctrl_shutdown};

pub(super) use crate::endpoint::make_folder as make_private;

/// Somebody wants slipwayd to end.
pub(super) struct Ending {
    c: CtrlC,
    r#break: CtrlBreak,
    shutdown: CtrlShutdown,
}

impl Ending {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            c: ctrl_c()?,
            r#break: ctrl_break()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Ctrl-C, Ctrl-Break, or the system shuts down.
    pub(super) async fn wanted(&mut self) {
        tokio::select! {
            _ = self.c.recv() => {}
            _ = self.r#break.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}
