//! `docker stop`, `kill` and `restart`.

use std::sync::Arc;
use std::time::Duration;

use warden::protocol::{Call, FailureReason, Target};

use super::model::Inner;
use super::{Container, State, signals};
use crate::{Engine, Error, blocking};

/// Docker's default grace, in seconds.
const DEFAULT_TIMEOUT: i64 = 10;

/// The same when its signal could not be sent.
const UNSENT_TIMEOUT: i64 = 2;

/// How long Docker waits for the end after SIGKILL, in seconds.
const KILL_TIMEOUT: u64 = 12;

impl Engine {
    /// Stops a container: its stop signal (or `signal`), then SIGKILL after `timeout` seconds
    /// (its own, or 10); negative waits for ever.
    pub async fn stop_container(
        self: &Arc<Self>,
        name: &str,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<(), Error> {
        let container = self.container(name)?;
        past_start(&container).await;
        if !container.lock().record.state.is_running() {
            return Err(Error::NotModified);
        }
        let prefix = format!("cannot stop container: {name}: ");
        let signal = signal
            .map(signals::parse)
            .transpose()
            .map_err(|error| Error::System(format!("{prefix}{error}")))?;
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            engine
                .stop_found(&container, signal, timeout)
                .await
                .map_err(|e| Error::System(format!("{prefix}{e}")))
        })
        .await
    }

    /// Stops a container if it runs.
    pub(crate) async fn stop_found(
        self: &Arc<Self>,
        container: &Arc<Container>,
        signal: Option<i32>,
        timeout: Option<i64>,
    ) -> Result<(), Error> {
        if self.end_found(container, signal, timeout).await? {
            self.container_event(container, "stop", &[]);
        }
        Ok(())
    }

    /// Ends a container's processes; whether there were any.
    pub(crate) async fn end_found(
        self: &Arc<Self>,
        container: &Arc<Container>,
        signal: Option<i32>,
        timeout: Option<i64>,
    ) -> Result<bool, Error> {
        let (own_signal, own_timeout) = {
            let inner = container.lock();
            if !inner.record.state.is_running() {
                return Ok(false);
            }
            let config = &inner.record.config;
            let own = signals::number(&config.stop_signal);
            let own = own.ok().filter(|own| *own > 0).unwrap_or(signals::TERM);
            (own, config.stop_timeout.unwrap_or(DEFAULT_TIMEOUT))
        };
        let signal = signal.unwrap_or(own_signal);
        let mut timeout = timeout.unwrap_or(own_timeout);
        self.tell_stopping(container);
        if signals::is_known(signal) {
            match self.send_signal(container, signal).await {
                Ok(()) => {}
                // It ended by itself in between.
                Err(Error::Conflict(_)) => return Ok(false),
                Err(error) => return Err(error),
            }
        } else {
            tracing::warn!(container = container.id, signal, "there is no such signal");
            timeout = UNSENT_TIMEOUT;
        }
        if !stopped_within(container, u64::try_from(timeout).ok()).await {
            match self.send_signal(container, signals::KILL).await {
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            if !stopped_within(container, Some(10)).await {
                return Err(Error::System(format!(
                    "container {} did not end after SIGKILL: a process hangs in the kernel",
                    container.id
                )));
            }
        }
        Ok(true)
    }

    /// Sends a signal; SIGKILL (the default) also waits for the end.
    pub async fn kill_container(
        self: &Arc<Self>,
        name: &str,
        signal: Option<&str>,
    ) -> Result<(), Error> {
        let prefix = format!("cannot kill container: {name}: ");
        let signal = match signal {
            None | Some("") => signals::KILL,
            Some(text) => signals::parse(text).map_err(|e| e.prefixed(&prefix))?,
        };
        let container = self.container(name).map_err(|e| e.prefixed(&prefix))?;
        self.send_signal(&container, signal)
            .await
            .map_err(|e| e.prefixed(&prefix))?;
        if signal == signals::KILL && !stopped_within(&container, Some(KILL_TIMEOUT)).await {
            return Err(Error::System(format!(
                "{prefix}tried to kill container, but did not receive an exit event"
            )));
        }
        Ok(())
    }

    /// Sends a signal to the first process, thawing it first if need be, and notes that a person
    /// wants it stopped when the signal says so.
    pub(crate) async fn send_signal(
        self: &Arc<Self>,
        container: &Arc<Container>,
        signal: i32,
    ) -> Result<(), Error> {
        let claim = |inner: &mut Inner| {
            let state = inner.record.state;
            if state.is_starting() {
                // There is nobody to signal yet, and soon there is.
                return None;
            }
            if !state.is_running() {
                return Some(Err(Error::not_running(&container.id)));
            }
            let configured = &inner.record.config.stop_signal;
            let ends = signal == signals::KILL
                || configured.is_empty()
                || signals::parse(configured).is_ok_and(|own| own == signal);
            if !self.is_shutting_down() {
                inner.record.manually_stopped = true;
            }
            if ends || state == State::Restarting {
                inner.restart_epoch += 1;
                inner.exit_on_next = true;
            }
            if state == State::Restarting {
                inner.record.state = State::Exited;
            }
            Some(Ok((state, ends && matches!(state, State::Paused { .. }))))
        };
        let (state, thaw) = container.until(claim).await?;
        if state == State::Restarting {
            // Between two runs there is nobody to signal.
            container.changed();
            container.save_or_log().await;
            return Ok(());
        }
        let target = Target {
            container: container.id.clone(),
            exec: None,
        };
        match self
            .warden
            .call(Call::Signal { target, signal }, Vec::new())
            .await
        {
            Ok(_) => {}
            // The exit is on its way.
            Err(failure) if failure.reason == FailureReason::NotFound => {}
            Err(failure) => {
                return Err(Error::System(format!(
                    "Cannot kill container {}: {failure}",
                    container.id
                )));
            }
        }
        self.container_event(container, "kill", &[("signal", signal.to_string())]);
        if thaw {
            // SIGKILL ends what is frozen too, and nobody goes on.
            if signal != signals::KILL {
                self.container_event(container, "unpause", &[]);
            }
            self.thaw(container).await;
        }
        Ok(())
    }

    /// Stops and starts a container.
    pub async fn restart_container(
        self: &Arc<Self>,
        name: &str,
        signal: Option<&str>,
        timeout: Option<i64>,
    ) -> Result<(), Error> {
        let container = self.container(name)?;
        let signal = signal.map(signals::parse).transpose()?;
        let engine = Arc::clone(self);
        let name = name.to_owned();
        blocking::to_the_end(async move {
            let restarted = async {
                container.lock().restarted_by_hand = true;
                let stopped = engine.stop_found(&container, signal, timeout).await;
                container.lock().restarted_by_hand = false;
                stopped?;
                match engine.start_container(&container.id).await {
                    Ok(()) | Err(Error::NotModified) => Ok(()),
                    Err(error) => Err(error),
                }
            };
            restarted
                .await
                .map_err(|e| Error::System(format!("Cannot restart container {name}: {e}")))?;
            engine.container_event(&container, "restart", &[]);
            Ok(())
        })
        .await
    }
}

/// Waits while a start is under way.
async fn past_start(container: &Arc<Container>) {
    container
        .until(|inner| (!inner.record.state.is_starting()).then_some(()))
        .await;
}

/// Waits until the container doesn't run; without seconds for ever.
async fn stopped_within(container: &Arc<Container>, seconds: Option<u64>) -> bool {
    let stopped =
        container.until(|inner| (!inner.record.state.is_running() || inner.removed).then_some(()));
    match seconds {
        None => {
            stopped.await;
            true
        }
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), stopped)
            .await
            .is_ok(),
    }
}
