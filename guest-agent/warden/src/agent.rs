//! Keeps the engine running: starts it with one end of a socket pair as descriptor 3, and again
//! when it dies, slower each time.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process};

use crate::signals;

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The engine's `oom_score_adj`, dockerd's.
const OOM_SCORE: &str = "-500";

/// An engine that ran this long is started again at once.
const HEALTHY: Duration = Duration::from_secs(10);

/// How the engine is started.
#[derive(Debug, Clone)]
pub struct AgentSpec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; `--warden-fd 3` is added in front.
    pub args: Vec<OsString>,
    /// What it has in its environment beside our own.
    pub environment: &'static [(&'static str, &'static str)],
}

/// The engine's supervisor.
pub(crate) struct Agent {
    spec: AgentSpec,
    running: Option<(u32, Instant)>,
    delay: Duration,
    again_at: Option<Instant>,
}

impl Agent {
    pub(crate) fn new(spec: AgentSpec) -> Self {
        Self {
            spec,
            running: None,
            delay: FIRST_DELAY,
            again_at: Some(Instant::now()),
        }
    }

    /// When it is to be started; `None` while it runs.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.again_at
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
        let mut command = Command::new(&self.spec.program);
        command.args(["--warden-fd", "3"]).args(&self.spec.args);
        command.envs(self.spec.environment.iter().copied());
        match signals::inherit_as_3(&mut command, theirs.as_fd()).spawn() {
            Ok(child) => {
                self.running = Some((child.id(), Instant::now()));
                // Containers that eat all memory are to die before it. Refused without
                // CAP_SYS_RESOURCE, and then it is as likely a victim as they are.
                let score = format!("/proc/{}/oom_score_adj", child.id());
                let _ = std::fs::write(score, OOM_SCORE);
                self.again_at = None;
                Ok(ours)
            }
            Err(error) => {
                self.back_off();
                Err(error)
            }
        }
    }

    fn back_off(&mut self) {
        self.again_at = Some(Instant::now() + self.delay);
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
    }

    /// Whether the reaped process was it; then it is started again after a while.
    pub(crate) fn on_exit(&mut self, pid: i32) -> bool {
        let Some((running, since)) = self.running else {
            return false;
        };
        if i64::from(running) != i64::from(pid) {
            return false;
        }
        self.running = None;
        if since.elapsed() >= HEALTHY {
            self.delay = FIRST_DELAY;
        }
        self.back_off();
        true
    }

    /// Ends one that no longer answers.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Asks it to stop and never starts it again.
    pub(crate) fn stop(&mut self) {
        self.again_at = None;
        self.signal(Signal::TERM);
    }

    /// Whether a process of it is left.
    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    fn signal(&self, signal: Signal) {
        let pid = self
            .running
            .and_then(|(pid, _)| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }
}
