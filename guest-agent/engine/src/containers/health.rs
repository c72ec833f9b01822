//! Whether a container is healthy: a task a container runs its check as an exec session, now and
//! then, and keeps the last results.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::exec::{Exec, ExecOutput, ExecRequest};
use super::healthcheck::HealthConfig;
use super::{Container, Record, State, signals};
use crate::time::{Time, go_duration};
use crate::{Engine, Error, blocking};

/// So much of a check's output is kept.
const LONGEST_OUTPUT: usize = 4096;
/// So many results are kept.
const KEPT: usize = 5;
/// How long a check may take to begin.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a check that was killed may take to end.
const END_LIMIT: Duration = Duration::from_secs(30);
/// The exit code of a check that did not end by itself.
const NO_EXIT: i32 = -1;

/// Docker's words for a container's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No check has succeeded yet.
    Starting,
    /// The last check succeeded.
    Healthy,
    /// Too many checks failed in a row, or nobody checks at the moment.
    Unhealthy,
}

impl HealthStatus {
    /// The word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Docker's `State.Health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: i64,
    /// The last results, the oldest first.
    pub log: Vec<CheckResult>,
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CheckResult {
    /// When it began.
    pub start: Time,
    /// When it ended.
    pub end: Time,
    /// 0 is healthy; -1 when it could not be started or did not end in time.
    pub exit_code: i32,
    /// What it wrote.
    pub output: String,
}

impl Health {
    /// Takes a result in; `young`: within the start period.
    fn take(&mut self, result: CheckResult, young: bool, retries: i64) {
        let failed = result.exit_code != 0;
        if self.log.len() >= KEPT {
            self.log.drain(..=self.log.len() - KEPT);
        }
        self.log.push(result);
        if !failed {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if !(young && self.status == HealthStatus::Starting) {
            self.failing_streak += 1;
            if self.failing_streak >= retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
    }
}

impl Record {
    /// Whether there is a check of its health.
    pub(crate) fn is_checked(&self) -> bool {
        let check = self.config.healthcheck.as_ref();
        check.is_some_and(|check| check.command(self.config.shell.as_deref()).is_some())
    }
}

impl Engine {
    /// The container has just been started, or was found running: its health is unknown.
    pub(crate) fn begin_health_checks(self: &Arc<Self>, container: &Arc<Container>) {
        {
            let mut inner = container.lock();
            if !inner.record.is_checked() {
                return;
            }
            if let Some(stop) = inner.health_checks.take() {
                stop.cancel();
            }
            let health = inner.record.health.get_or_insert_with(|| Health {
                status: HealthStatus::Starting,
                failing_streak: 0,
                log: Vec::new(),
            });
            health.status = HealthStatus::Starting;
            health.failing_streak = 0;
        }
        self.resume_health_checks(container);
    }

    /// The container runs again after a pause: checks go on where they stopped.
    pub(crate) fn resume_health_checks(self: &Arc<Self>, container: &Arc<Container>) {
        let (check, command, started, stop) = {
            let mut inner = container.lock();
            let record = &inner.record;
            let runs = matches!(record.state, State::Running { .. });
            let Some(check) = record.config.healthcheck.clone().filter(|_| runs) else {
                return;
            };
            let Some(command) = check.command(record.config.shell.as_deref()) else {
                return;
            };
            if record.health.is_none() || inner.health_checks.is_some() {
                return;
            }
            let started = record.started_at;
            let stop = CancellationToken::new();
            inner.health_checks = Some(stop.clone());
            (check, command, started, stop)
        };
        let monitor = Monitor {
            engine: Arc::clone(self),
            container: Arc::clone(container),
            check,
            command,
            started,
            stop,
        };
        tokio::spawn(monitor.run());
    }

    /// The container was frozen or has ended. As with dockerd, it counts as unhealthy from then on.
    pub(crate) fn end_health_checks(container: &Container) {
        let mut inner = container.lock();
        if let Some(stop) = inner.health_checks.take() {
            stop.cancel();
            if let Some(health) = &mut inner.record.health {
                health.status = HealthStatus::Unhealthy;
            }
        }
    }
}

/// Checks one run of one container.
struct Monitor {
    engine: Arc<Engine>,
    container: Arc<Container>,
    check: HealthConfig,
    command: Vec<String>,
    started: Time,
    stop: CancellationToken,
}

impl Monitor {
    async fn run(self) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.pause()) => {}
            }
            let start = Time::now();
            let outcome = self.probe().await;
            let (exit_code, output) = match outcome {
                Ok(found) => found,
                Err(error) => (NO_EXIT, error.to_string()),
            };
            let result = CheckResult {
                start,
                end: Time::now(),
                exit_code,
                output,
            };
            if !self.note(result) {
                return;
            }
        }
    }

    fn is_young(&self, at: Time) -> bool {
        at.since(self.started) < self.check.start_period()
    }

    fn pause(&self) -> Duration {
        let starting = self
            .container
            .lock()
            .record
            .health
            .as_ref()
            .is_some_and(|health| health.status == HealthStatus::Starting);
        if starting && self.is_young(Time::now()) {
            self.check.start_interval()
        } else {
            self.check.interval()
        }
    }

    /// False when checks have ended meanwhile.
    fn note(&self, result: CheckResult) -> bool {
        let young = self.is_young(result.start);
        let changed = {
            let mut inner = self.container.lock();
            if self.stop.is_cancelled() {
                return false;
            }
            let Some(health) = &mut inner.record.health else {
                return false;
            };
            let before = health.status;
            health.take(result, young, self.check.retries());
            (health.status != before).then_some(health.status)
        };
        if let Some(status) = changed {
            let action = format!("health_status: {}", status.name());
            self.engine.container_event(&self.container, &action, &[]);
            self.engine.tell_condition(&self.container);
        }
        true
    }

    /// One check: its exit code and what it wrote.
    async fn probe(&self) -> Result<(i32, String), Error> {
        if self.command.is_empty() {
            return Err(Error::System(format!(
                "healthcheck for container {} has no command",
                self.container.id
            )));
        }
        let request = ExecRequest {
            cmd: self.command.clone(),
            attach_stdout: true,
            attach_stderr: true,
            ..ExecRequest::default()
        };
        let exec = self.engine.add_exec(&self.container, request)?;
        let engine = Arc::clone(&self.engine);
        let id = exec.id().to_owned();
        // A start that is given up must still be finished, or nobody would know of its process.
        let started =
            blocking::to_the_end(
                async move { engine.start_exec(&id, ExecOutput::Framed, None).await },
            );
        let Ok(started) = tokio::time::timeout(START_LIMIT, started).await else {
            return Err(Error::System(format!(
                "timed out starting health check for container {}",
                self.container.id
            )));
        };
        let mut started = started?;
        let mut output = Output::default();
        let limit = self.check.timeout();
        let in_time = {
            let ended = async {
                if let Some(stream) = &mut started.stream {
                    output.read(stream).await;
                }
                // The sender lives as long as the session.
                let _ = started.ended.wait_for(|ended| *ended).await;
            };
            tokio::select! {
                () = ended => true,
                () = tokio::time::sleep(limit) => false,
                () = self.stop.cancelled() => false,
            }
        };
        if in_time {
            return match exec.exit_code() {
                Some(code) => Ok((code, output.text())),
                None => Err(Error::System(format!(
                    "healthcheck for container {} has no exit code",
                    self.container.id
                ))),
            };
        }
        self.end(&exec, &mut started.ended).await;
        let text = output.text();
        let limit = go_duration(limit);
        let said = if text.is_empty() {
            format!("Health check exceeded timeout ({limit})")
        } else {
            format!("Health check exceeded timeout ({limit}): {text}")
        };
        Ok((NO_EXIT, said))
    }

    /// Kills a check and waits for its end, so that dying checks don't pile up.
    async fn end(&self, exec: &Exec, ended: &mut tokio::sync::watch::Receiver<bool>) {
        self.engine.signal_exec(exec, signals::KILL).await;
        let over = ended.wait_for(|ended| *ended);
        if tokio::time::timeout(END_LIMIT, over).await.is_err() {
            tracing::warn!(container = self.container.id, "a health check does not die");
        }
    }
}

/// The beginning of what a check writes.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Output {
    /// Reads frames to the end. An error is an end: what was read counts.
    async fn read(&mut self, stream: &mut UnixStream) {
        let mut piece = vec![0; 16 * 1024];
        loop {
            let mut header = [0; 8];
            if stream.read_exact(&mut header).await.is_err() {
                return;
            }
            let [.., a, b, c, d] = header;
            let mut left = u32::from_be_bytes([a, b, c, d]) as usize;
            while left > 0 {
                let wanted = left.min(piece.len());
                match stream.read(&mut piece[..wanted]).await {
                    Ok(count @ 1..) => {
                        left -= count;
                        self.keep(&piece[..count]);
                    }
                    _ => return,
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST_OUTPUT - self.bytes.len();
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.truncated |= bytes.len() > room;
    }

    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.truncated {
            text.push_str("...");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(exit_code: i32) -> CheckResult {
        CheckResult {
            start: Time::zero(),
            end: Time::zero(),
            exit_code,
            output: String::new(),
        }
    }

    #[test]
    fn verdicts_follow_dockers_rules() {
        let mut health = Health {
            status: HealthStatus::Starting,
            failing_streak: 0,
            log: Vec::new(),
        };
        health.take(result(1), true, 2);
        assert_eq!(
            (health.status, health.failing_streak),
            (HealthStatus::Starting, 0)
        );
        health.take(result(1), false, 2);
        assert_eq!(
            (health.status, health.failing_streak),
            (HealthStatus::Starting, 1)
        );
        health.take(result(1), false, 2);
        assert_eq!(health.status, HealthStatus::Unhealthy);
        health.take(result(0), false, 2);
        assert_eq!(
            (health.status, health.failing_streak),
            (HealthStatus::Healthy, 0)
        );
        // Once it was healthy, the start period protects it no longer.
        health.take(result(1), true, 2);
        assert_eq!(health.failing_streak, 1);
        health.take(result(7), true, 9);
        assert_eq!(health.log.len(), KEPT);
        assert_eq!(health.log[KEPT - 1].exit_code, 7);
        assert_eq!(health.status, HealthStatus::Healthy);
    }

    #[test]
    fn output_is_cut() {
        let mut output = Output::default();
        output.keep(&[b'x'; LONGEST_OUTPUT - 1]);
        output.keep(b"yz");
        assert_eq!(output.text().len(), LONGEST_OUTPUT + 3);
        assert!(output.text().ends_with("xy..."));
    }
}
