//! A program of ours that is kept running: started again when it dies, slower each time.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Its `oom_score_adj`, dockerd's.
const OOM_SCORE: &str = "-500";

/// One that ran this long is started again at once.
const HEALTHY: Duration = Duration::from_secs(10);

/// How a program is started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments; the engine has `--warden-fd 3` in front.
    pub args: Vec<OsString>,
    /// What it has in its environment beside our own.
    pub environment: &'static [(&'static str, &'static str)],
}

/// A program and its process.
pub(crate) struct Kept {
    program: Program,
    running: Option<(u32, Instant)>,
    delay: Duration,
    again_at: Option<Instant>,
}

impl Kept {
    /// To be started for the first time after a while.
    pub(crate) fn new(program: Program, after: Duration) -> Self {
        Self {
            program,
            running: None,
            delay: FIRST_DELAY,
            again_at: Some(Instant::now() + after),
        }
    }

    /// When it is to be started; `None` while it runs.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.again_at
    }

    /// Starts it, after `prepare` has added what it needs.
    pub(crate) fn start(&mut self, prepare: impl FnOnce(&mut Command)) -> std::io::Result<()> {
        let mut command = Command::new(&self.program.path);
        prepare(&mut command);
        command.args(&self.program.args);
        command.envs(self.program.environment.iter().copied());
        match command.spawn() {
            Ok(child) => {
                self.running = Some((child.id(), Instant::now()));
                // Containers that eat all memory are to die before it. Refused without
                // CAP_SYS_RESOURCE, and then it is as likely a victim as they are.
                let score = format!("/proc/{}/oom_score_adj", child.id());
                let _ = std::fs::write(score, OOM_SCORE);
                self.again_at = None;
                Ok(())
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
