//! Processes on macOS.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

pub(super) fn detach(command: &mut Command) {
    command.process_group(0);
}

/// A process that is not our child.
pub(super) struct Foreign(Pid);

impl Foreign {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let pid = find(pid).ok_or(io::ErrorKind::NotFound)?;
        test_kill_process(pid)?;
        Ok(Self(pid))
    }

    /// Looks now and then: there is no descriptor for a process here.
    pub(super) fn wait(&self) {
        while test_kill_process(self.0).is_ok() {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

pub(super) fn was_told(pid: u32, word: &str) -> bool {
    let mut command = Command::new("/bin/ps");
    command.args(["-o", "command=", "-p", &pid.to_string()]);
    command
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(word))
}

/// Its arguments say more.
pub(super) fn made(_pid: u32) -> Option<u64> {
    None
}

pub(super) fn terminate(pid: u32) {
    send(pid, Signal::TERM);
}

pub(super) fn kill(pid: u32) {
    send(pid, Signal::KILL);
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = find(pid) {
        // It may have ended in this moment: then there is nothing to do.
        let _ = kill_process(pid, signal);
    }
}

fn find(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}
