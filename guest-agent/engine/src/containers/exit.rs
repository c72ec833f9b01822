//! What happens when a process ends: the exit is recorded, waiters are told, the restart policy
//! decides, `--rm` removes.

use std::sync::Arc;
use std::time::Duration;

use warden::protocol::{Exit, Target};

use super::{Container, State};
use crate::Engine;
use crate::time::Time;

/// First delay before a restart by policy, doubled each time.
const FIRST_BACK_OFF_MS: u64 = 100;
/// The longest delay.
const LONGEST_BACK_OFF_MS: u64 = 60_000;
/// How long an end waits for clients that are slow to take the last of the output, as in Docker.
const LAST_OUTPUT: Duration = Duration::from_secs(2);
/// Who ran this long is healthy: the delay starts anew.
const HEALTHY_SECONDS: u64 = 10;

impl Engine {
    /// Takes an exit from the warden. Returns at once.
    pub(crate) fn on_exit(self: &Arc<Self>, target: Target, exit: Exit) {
        if target.exec.is_some() {
            self.on_exec_exit(&target, &exit);
            return;
        }
        match self.container(&target.container) {
            Ok(container) if Self::keep_early_exit(&container, &exit) => {}
            Ok(container) => self.spawn_exit(container, exit),
            Err(_) => {
                // Nobody's any more: nothing to record.
                let engine = Arc::clone(self);
                tokio::spawn(async move { engine.warden.forget(target).await });
            }
        }
    }

    pub(crate) fn spawn_exit(self: &Arc<Self>, container: Arc<Container>, exit: Exit) {
        let engine = Arc::clone(self);
        tokio::spawn(async move { engine.container_exited(container, exit).await });
    }

    pub(crate) async fn container_exited(self: &Arc<Self>, container: Arc<Container>, exit: Exit) {
        if container.lock().record.state.pid().is_none() {
            return;
        }
        Self::end_health_checks(&container);
        self.release_network(&container).await;
        self.tell_of_networks(&container, "disconnect");
        container.lock().record.leave_all();
        self.names.stale();
        // Whoever is attached has the last output before anybody hears of the end.
        let heard = container.until(|inner| (inner.listeners == 0).then_some(()));
        let _ = tokio::time::timeout(LAST_OUTPUT, heard).await;
        let finished_at = exit.finished_at.parse().unwrap_or_else(|_| Time::now());
        let (restart, ran_seconds, auto_remove) = {
            let mut inner = container.lock();
            let ran_seconds = finished_at.seconds_since(inner.record.started_at);
            let record = &mut inner.record;
            record.exit_code = exit.code;
            record.oom_killed = exit.oom_killed;
            record.finished_at = finished_at;
            record.leave_all();
            let restart = !inner.removing
                && !inner.exit_on_next
                && !self.is_shutting_down()
                && wants_restart(&inner.record);
            let record = &mut inner.record;
            if restart {
                record.restart_count += 1;
                record.state = State::Restarting;
            } else {
                record.state = State::Exited;
            }
            if ran_seconds >= HEALTHY_SECONDS {
                inner.back_off_ms = 0;
            }
            inner.settling = true;
            // With a restart the container stays "running" for those who wait for its end.
            inner.exits += 1;
            inner.last_exit = exit.code;
            let auto_remove = !restart
                && inner.record.host_config.auto_remove
                && !inner.removing
                && !inner.restarted_by_hand;
            (restart, ran_seconds, auto_remove)
        };
        self.volume_events(&container, "unmount");
        if exit.oom_killed {
            self.container_event(&container, "oom", &[]);
        }
        self.container_event(
            &container,
            "die",
            &[
                ("exitCode", exit.code.to_string()),
                ("execDuration", ran_seconds.to_string()),
            ],
        );
        self.end_execs_of(&container);
        // Who waits need not wait for the disk: until the warden is told to forget it, the exit
        // survives the engine.
        container.changed();
        container.unmount().await;
        self.remove_network_namespace(&container).await;
        let going_down = self.is_shutting_down();
        if auto_remove && !going_down {
            // Nothing is written of what goes now.
            settle(&container);
            self.auto_remove(&container).await;
            self.forget_exit(&container).await;
            return;
        }
        if !restart && !going_down {
            container.next_change().await;
        }
        container.save_or_log().await;
        self.forget_exit(&container).await;
        settle(&container);
        if restart {
            self.restart_later(container);
        }
    }

    /// Its end need not be known to the warden any more.
    async fn forget_exit(&self, container: &Container) {
        let target = Target {
            container: container.id.clone(),
            exec: None,
        };
        self.warden.forget(target).await;
    }

    /// Starts the container again after its back-off, unless somebody stops it meanwhile.
    pub(crate) fn restart_later(self: &Arc<Self>, container: Arc<Container>) {
        let (epoch, delay) = {
            let mut inner = container.lock();
            let delay = match inner.back_off_ms {
                0 => FIRST_BACK_OFF_MS,
                last => (last * 2).min(LONGEST_BACK_OFF_MS),
            };
            inner.back_off_ms = delay;
            (inner.restart_epoch, delay)
        };
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let interrupted = container.until(|inner| {
                (inner.restart_epoch != epoch || inner.record.state != State::Restarting)
                    .then_some(())
            });
            tokio::select! {
                () = interrupted => return,
                () = tokio::time::sleep(Duration::from_millis(delay)) => {}
            }
            {
                let mut inner = container.lock();
                if inner.record.state != State::Restarting || inner.removing {
                    return;
                }
                inner.record.state = State::Starting { again: true };
            }
            if let Err(error) = engine.start_claimed(&container, State::Exited).await {
                tracing::warn!(container = container.id, %error, "restarting by policy failed");
            }
        });
    }
}

/// It can be started again.
fn settle(container: &Container) {
    container.lock().settling = false;
    container.changed();
}

/// Whether the policy starts the container again after the exit in the record.
pub(crate) fn wants_restart(record: &super::Record) -> bool {
    let policy = &record.host_config.restart_policy;
    match policy.name.as_str() {
        "always" => true,
        "unless-stopped" => !record.manually_stopped,
        "on-failure" => {
            record.exit_code != 0
                && (policy.maximum_retry_count == 0
                    || i64::from(record.restart_count) < policy.maximum_retry_count)
        }
        _ => false,
    }
}
