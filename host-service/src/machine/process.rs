//! A process that outlives slipwayd: started by us, or found and adopted.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;
#[cfg(windows)]
use windows as platform;

use std::io;
use std::process::Command;
use std::time::Duration;

use tokio::sync::watch;

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With this code.
    Code(i32),
    /// In another way, or nobody knows: it was not our child.
    Other(String),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Other(how) => f.write_str(how),
        }
    }
}

/// A running process, watched by a thread that sleeps until it ends.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pid: u32,
    exit: watch::Receiver<Option<Exit>>,
}

impl Process {
    /// Starts a program in a process group of its own, so that Ctrl-C does not reach it.
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        platform::detach(&mut command);
        let mut child = command.spawn()?;
        let pid = child.id();
        let (exited, exit) = watch::channel(None);
        std::thread::Builder::new()
            .name(format!("wait-{pid}"))
            .spawn(move || {
                let exit = match child.wait() {
                    Ok(status) => match status.code() {
                        Some(code) => Exit::Code(code),
                        None => Exit::Other(status.to_string()),
                    },
                    Err(error) => Exit::Other(error.to_string()),
                };
                exited.send_replace(Some(exit));
            })?;
        Ok(Self { pid, exit })
    }

    /// Watches a process that is not our child.
    ///
    /// # Errors
    /// When there is no such process, or it has ended and only waits to be forgotten.
    pub(crate) async fn adopt(pid: u32) -> io::Result<Self> {
        let foreign = platform::Foreign::open(pid)?;
        let (exited, exit) = watch::channel(None);
        std::thread::Builder::new()
            .name(format!("wait-{pid}"))
            .spawn(move || {
                foreign.wait();
                exited.send_replace(Some(Exit::Other("it ended".to_owned())));
            })?;
        let process = Self { pid, exit };
        if process.ends_within(Duration::from_millis(20)).await {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(process)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    /// Waits until it ends. May be dropped and called again.
    pub(crate) async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or(Exit::Code(0)),
            Err(_) => Exit::Other("it is no longer watched".to_owned()),
        }
    }

    /// Waits until it ends, for this long at most; says whether it did.
    pub(crate) async fn ends_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.ended()).await.is_ok()
    }

    /// When it was made, in the system's own count, where its arguments can't be known: with its number
    /// that is a process's name.
    pub(crate) fn made(&self) -> Option<u64> {
        platform::made(self.pid)
    }

    /// Whether this word is among the arguments it was started with, where that can be known.
    pub(crate) fn was_told(&self, word: &str) -> bool {
        self.has_ended().is_none() && platform::was_told(self.pid, word)
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        if self.has_ended().is_none() {
            platform::terminate(self.pid);
        }
    }

    /// Ends it, and waits until it has.
    pub(crate) async fn kill(&self) {
        if self.has_ended().is_none() {
            platform::kill(self.pid);
            self.ends_within(Duration::from_secs(10)).await;
        }
    }
}
