//! Processes on Linux.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

pub(super) fn detach(command: &mut Command) {
    command.process_group(0);
}

/// A process that is not our child.
pub(super) struct Foreign(OwnedFd);

impl Foreign {
    pub(super) fn open(pid: u32) -> io::Result<Self> {
        let pid = find(pid).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self(pidfd_open(pid, PidfdFlags::empty())?))
    }

    pub(super) fn wait(&self) {
        // Interrupted waits are repeated; readable means that it has ended.
        while poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None) == Err(rustix::io::Errno::INTR)
        {
        }
    }
}

pub(super) fn was_told(pid: u32, word: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|&byte| byte == 0)
        .any(|told| told == word.as_bytes())
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
