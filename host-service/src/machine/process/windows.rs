//! Processes on Windows.

use std::io;
use std::os::windows::process::CommandExt;
use std::process::Command;
use std::time::Duration;

const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

pub(super) fn detach(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
}

/// A process that is not our child.
pub(super) struct Foreign(u32);

impl Foreign {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        if runs(pid) {
            Ok(Self(pid))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Looks now and then.
    pub(super) fn wait(&self) {
        while runs(self.0) {
            std::thread::sleep(Duration::from_secs(2));
        }
    }
}

fn runs(pid: u32) -> bool {
    let filter = format!("PID eq {pid}");
    let mut command = Command::new("tasklist");
    command
        .args(["/NH", "/FO", "CSV", "/FI", &filter])
        .creation_flags(CREATE_NO_WINDOW);
    command
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&format!("\"{pid}\"")))
}

/// Not known: another process may have the number by now.
pub(super) fn was_told(_pid: u32, _word: &str) -> bool {
    false
}

/// There is no gentle way to end a program without a window.
pub(super) fn terminate(pid: u32) {
    kill(pid);
}

pub(super) fn kill(pid: u32) {
    let mut command = Command::new("taskkill");
    command
        .args(["/F", "/PID", &pid.to_string()])
        .creation_flags(CREATE_NO_WINDOW);
    // It may have ended in this moment: then there is nothing to do.
    let _ = command.output();
}
