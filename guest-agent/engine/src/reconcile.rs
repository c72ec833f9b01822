//! What the engine finds when it comes up: containers on disk, processes with the warden.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use warden::protocol::{Call, Outcome, ProcessState};

use crate::containers::{Container, HealthStatus, Record, State, wants_restart};
use crate::time::Time;
use crate::{Engine, Error, blocking, state_file};

/// The exit code of a container that was running when the machine went down.
const LOST: i32 = 255;

impl Engine {
    /// Reads all containers and brings them into line with what the warden knows: those that run
    /// keep running, exits that happened meanwhile are recorded, those that the warden doesn't know
    /// were lost with the machine.
    pub(crate) async fn reconcile(
        self: &Arc<Self>,
        mut known: HashMap<String, ProcessState>,
    ) -> Result<(), Error> {
        let (dir, init_layers) = (self.containers_dir(), self.init_layers());
        let records = blocking::run(move || {
            let records = read_all(&dir)?;
            if records.is_empty() {
                // Nobody uses them, and they are quickly made again.
                images::remove_tree(&init_layers)?;
            }
            Ok(records)
        })
        .await?;
        let first = self.is_first_engine();
        for record in records {
            let process = known.remove(&record.id);
            self.restore(record, process, first).await?;
        }
        // What is left ended and was removed before the old engine could say so.
        for process in known.into_values().filter(|process| process.exit.is_some()) {
            self.warden.forget(process.target).await;
        }
        if self.options.run.join("network").exists() {
            // Opening the network gives back what dead containers held.
            let engine = Arc::clone(self);
            tokio::spawn(async move {
                match engine.network().await {
                    Ok(network) => engine.restore_endpoints(&network).await,
                    Err(error) => tracing::warn!(%error, "recovering the network failed"),
                }
            });
        }
        Ok(())
    }

    /// Whether no other engine was before it since this warden began: the machine has just come up.
    fn is_first_engine(&self) -> bool {
        let path = self.options.run.join("warden");
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let now = format!(
            "{} {}",
            boot.unwrap_or_default(),
            std::os::unix::process::parent_id()
        );
        let first = std::fs::read_to_string(&path).ok().as_ref() != Some(&now);
        if first && let Err(error) = std::fs::write(&path, now) {
            tracing::warn!(%error, "the next engine will take itself for the first");
        }
        first
    }

    /// Brings one container in line with its process.
    async fn restore(
        self: &Arc<Self>,
        mut record: Record,
        mut process: Option<ProcessState>,
        first: bool,
    ) -> Result<(), Error> {
        // An exit that was recorded, and not yet forgotten when the old engine died, is no news.
        let recorded = process
            .as_ref()
            .and_then(|p| p.exit.as_ref())
            .is_some_and(|exit| {
                record.state.pid().is_none()
                    && exit.finished_at.parse().ok() == Some(record.finished_at)
            });
        if recorded && let Some(old) = process.take() {
            self.warden.forget(old.target).await;
        }
        // It had ended and waited to be started again: that is still to be done.
        let pending = process.is_none() && record.state.is_restarting();
        let lost = process.is_none()
            && (record.state.pid().is_some() || record.state == State::Starting { again: false });
        // A machine that lost its power may know of the making of a container and of nothing since:
        // what `--rm` would have removed goes, as with Docker's daemon.
        let passing = first && record.host_config.auto_remove;
        let idle = process.is_none() && (passing || !record.started_at.is_zero());
        if let Some(process) = &process {
            let pid = process.pid;
            if record.state != (State::Paused { pid }) {
                record.state = State::Running { pid };
            }
            if let Ok(started) = process.started_at.parse() {
                record.started_at = started;
            }
        } else if lost {
            record.state = State::Exited;
            record.exit_code = LOST;
            record.finished_at = Time::now();
            record.leave_all();
        } else if pending {
            record.state = State::Restarting;
        }
        if process.is_none()
            && let Some(health) = &mut record.health
        {
            health.status = HealthStatus::Unhealthy;
        }
        let dir = self.containers_dir().join(&record.id);
        let name = record.name.clone();
        let container = Container::new(record, dir);
        {
            let mut index = self.index();
            if let Err(error) = index.reserve_name(&name, &container.id) {
                tracing::error!(container = container.id, %error, "a name is taken twice");
                let id = container.id.clone();
                container.lock().record.name = index.reserve_random_name(&id)?;
            }
            index.insert(Arc::clone(&container));
        }
        match process.map(|process| process.exit) {
            Some(Some(exit)) => self.spawn_exit(Arc::clone(&container), exit),
            Some(None) => self.begin_health_checks(&container),
            None => {}
        }
        if lost {
            container.save().await?;
        }
        if pending {
            self.restart_later(container);
        } else if idle {
            self.revive(&container);
        }
        Ok(())
    }

    /// The containers' processes that the warden knows, by container.
    pub(crate) async fn known_processes(&self) -> Result<HashMap<String, ProcessState>, Error> {
        let outcome = self
            .warden
            .call(Call::List, Vec::new())
            .await
            .map_err(|failure| Error::System(failure.message))?;
        let Outcome::Processes { processes } = outcome else {
            return Err(Error::System(
                "the warden gave an unexpected answer to a list".into(),
            ));
        };
        let (sessions, containers): (Vec<_>, Vec<_>) = processes
            .into_iter()
            .partition(|process| process.target.exec.is_some());
        for session in sessions
            .into_iter()
            .filter(|session| session.exit.is_some())
        {
            // Whoever waited for it is gone with the old engine.
            self.warden.forget(session.target).await;
        }
        Ok(containers
            .into_iter()
            .map(|p| (p.target.container.clone(), p))
            .collect())
    }

    /// Starts a container again that doesn't run, if its policy says so; removes it if it was
    /// created with `--rm`.
    fn revive(self: &Arc<Self>, container: &Arc<Container>) {
        let (restart, auto_remove) = {
            let inner = container.lock();
            let record = &inner.record;
            // A person's stop outlives the engine, except for `always`, which means always.
            let always = record.host_config.restart_policy.name == "always";
            let restart = wants_restart(record) && (always || !record.manually_stopped);
            (restart, record.host_config.auto_remove)
        };
        if restart {
            container.lock().record.state = State::Restarting;
            self.restart_later(Arc::clone(container));
        } else if auto_remove {
            let engine = Arc::clone(self);
            let container = Arc::clone(container);
            tokio::spawn(async move { engine.auto_remove(&container).await });
        }
    }
}

fn read_all(dir: &Path) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    for path in state_file::entries(dir)? {
        let config = path.join("config.json");
        let removed = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let made = match config.metadata() {
            Ok(file) => file.len() > 0,
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        if removed || !made {
            // A create or a remove that was interrupted: nobody has seen this container, or
            // somebody asked for its removal. A record without content lost its power in the
            // moment of its making.
            if let Err(error) = images::remove_tree(&path) {
                tracing::warn!(%error, path = %path.display(), "removing a leftover");
            }
            continue;
        }
        match Record::read(&config) {
            Ok(record) => records.push(record),
            // One damaged record must not keep the others away.
            Err(error) => tracing::error!(%error, "a container cannot be read"),
        }
    }
    Ok(records)
}
