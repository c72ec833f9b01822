//! `docker start`: claims the container, prepares its surroundings, and has the warden start it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use runtime::spec::{ContainerSpec, Namespace};
use runtime::view;
use warden::protocol::{AttachStreams, Call, Exit, Failure, FailureReason, Outcome};

use super::model::NEXT_CHANGE;
use super::{Container, Reached, Record, State, host_files, init, mounts, shared_memory, spec};
use crate::time::Time;
use crate::{Engine, Error, blocking};

/// Docker's exit code when a start fails for a reason of no program's.
const UNKNOWN: i32 = 128;

/// How a failure begins that Docker finds before it calls its runtime.
const NO_PROFILE: &str = "Decoding seccomp profile failed";

impl Engine {
    /// Starts a container.
    pub async fn start_container(self: &Arc<Self>, name: &str) -> Result<(), Error> {
        let container = self.container(name)?;
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            container.settled().await;
            let before = claim(&container).await?;
            {
                let mut inner = container.lock();
                inner.record.manually_stopped = false;
                inner.record.restart_count = 0;
                inner.exit_on_next = false;
                inner.back_off_ms = 0;
            }
            engine.start_claimed(&container, before).await
        })
        .await
    }

    /// Starts a container whose state the caller has set to [`State::Starting`]; `before` is the
    /// state to go back to when it fails.
    pub(crate) async fn start_claimed(
        self: &Arc<Self>,
        container: &Arc<Container>,
        before: State,
    ) -> Result<(), Error> {
        // Whoever is at its files has them mounted: they cannot be mounted twice.
        let alone = container.files.alone().await;
        let networks = container.lock().record.networks.clone();
        let started = self.try_start(container).await;
        match started {
            Ok((pid, started_at)) => {
                let early_exit = {
                    let mut inner = container.lock();
                    let record = &mut inner.record;
                    record.state = State::Running { pid };
                    record.started_at = started_at;
                    record.exit_code = 0;
                    record.oom_killed = false;
                    record.error.clear();
                    record.reached = Reached::Networks;
                    inner.early_exit.take()
                };
                // Only now the state tells where the files are.
                drop(alone);
                self.begin_health_checks(container);
                container.changed();
                self.tell_parents(container).await;
                self.tell_of_networks(container, "connect");
                self.container_event(container, "start", &[]);
                tokio::spawn(save_start(Arc::clone(container), started_at));
                if let Some(exit) = early_exit {
                    self.spawn_exit(Arc::clone(container), exit);
                }
                Ok(())
            }
            Err(refused) => {
                let Refused {
                    error,
                    exit_code,
                    reached,
                } = refused;
                self.release_network(container).await;
                if reached >= Reached::Names {
                    self.tell_of_no_networks(container);
                }
                self.volume_events(container, "unmount");
                self.remove_network_namespace(container).await;
                container.unmount().await;
                let auto_remove = {
                    let mut inner = container.lock();
                    // Closing their ends tells the clients that nothing will come.
                    inner.early_clients.clear();
                    inner.early_exit = None;
                    let record = &mut inner.record;
                    record.state = before;
                    // As in Docker: what the last run ended with says more than this.
                    if exit_code != UNKNOWN || record.exit_code == 0 {
                        record.exit_code = exit_code;
                    }
                    record.error = error.to_string();
                    if reached < Reached::Networks {
                        record.networks = networks;
                    }
                    record.reached = record.reached.max(reached);
                    record.leave_all();
                    record.host_config.auto_remove
                };
                self.names.stale();
                drop(alone);
                container.changed();
                container.save_or_log().await;
                if auto_remove {
                    self.auto_remove(container).await;
                }
                Err(error)
            }
        }
    }

    async fn try_start(
        self: &Arc<Self>,
        container: &Arc<Container>,
    ) -> Result<(i32, Time), Refused> {
        let (spec, root) = self.prepare(container).await?;
        let (attach, clients): (Vec<AttachStreams>, Vec<OwnedFd>) = {
            let mut inner = container.lock();
            let early = std::mem::take(&mut inner.early_clients);
            inner.root = root.try_clone().ok();
            early.into_iter().unzip()
        };
        let fds = std::iter::once(root).chain(clients).collect();
        let call = Call::Start {
            spec: Box::new(spec),
            attach,
        };
        match self.warden.call(call, fds).await {
            Ok(Outcome::Started {
                pid,
                started_at,
                warnings,
            }) => {
                for warning in warnings {
                    tracing::warn!(container = container.id, warning, "started with less");
                }
                Ok((pid, started_at.parse().unwrap_or_else(|_| Time::now())))
            }
            Ok(other) => {
                let error = format!("the warden gave an unexpected answer to a start: {other:?}");
                Err(Refused::at(Reached::Process, Error::System(error)))
            }
            Err(failure) => Err(refusal(
                &failure,
                "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: ",
            )),
        }
    }

    /// Everything that must be there before the process, and its root.
    async fn prepare(
        self: &Arc<Self>,
        container: &Arc<Container>,
    ) -> Result<(ContainerSpec, OwnedFd), Refused> {
        let record = container.lock().record.clone();
        let (engine, theirs, own) = (Arc::clone(self), Arc::clone(container), record.clone());
        // Beside all else, since it takes as long.
        let root = blocking::beside(move || {
            let root = engine.root(&own, &theirs.dir)?;
            view::root(&root).map_err(|error| {
                let why = runtime::Failure::from(&error).message;
                Error::System(format!("cannot mount the container's files: {why}"))
            })
        });
        self.volume_events(container, "mount");
        let spec = self.surround(container, &record).await;
        let root = root.await.map_err(|e| Refused::at(Reached::Nothing, e));
        match spec {
            Ok(spec) => Ok((spec, root?)),
            Err(error) => {
                blocking::here(|| drop(root));
                Err(error)
            }
        }
    }

    /// Network, files and mounts.
    async fn surround(
        self: &Arc<Self>,
        container: &Arc<Container>,
        record: &Record,
    ) -> Result<ContainerSpec, Refused> {
        // Docker joins another container's network first, and its own ones when there is a process.
        let joining = match record.host_config.network_container() {
            Some(_) => Reached::Nothing,
            None => Reached::Networks,
        };
        let named = |error| Refused::at(Reached::Names, error);
        if joining == Reached::Networks && !record.config.network_disabled {
            let unnamed = |error| Refused::at(Reached::Nothing, error);
            host_files::check_servers(record).map_err(unnamed)?;
        }
        // So all else that keeps it from starting is told first.
        let (net, unjoined) = match self.join_networks(container, record).await {
            Ok(net) => (net, None),
            Err(error) if joining == Reached::Networks => (Namespace::New, Some(error)),
            Err(error) => return Err(Refused::at(joining, error)),
        };
        let mut record = container.lock().record.clone();
        let surroundings = self.name_surroundings(&record).await.map_err(named)?;
        let linked = self.link_environment(&record).map_err(named)?;
        let spec = blocking::here(|| {
            let mut all = match record.host_config.network_container() {
                Some(other) => {
                    let other = self.container(other)?;
                    let (hostname, domainname) = {
                        let theirs = other.lock();
                        let config = &theirs.record.config;
                        (config.hostname.clone(), config.domainname.clone())
                    };
                    record.config.hostname.clone_from(&hostname);
                    record.config.domainname.clone_from(&domainname);
                    let mut inner = container.lock();
                    inner.record.config.hostname = hostname;
                    inner.record.config.domainname = domainname;
                    host_files::shared(&other.dir, record.host_config.readonly_rootfs)
                }
                None => host_files::prepare(
                    &container.dir,
                    &host_files::Facts {
                        record: &record,
                        surroundings,
                    },
                )?,
            };
            let store = self.store()?;
            self.mount_volumes(&record.mounts)?;
            all.extend(mounts::prepare(&record.mounts, store, &container.dir)?);
            // A volume at /etc comes before the files in it.
            all.sort_by_key(|mount| mount.target.matches('/').count());
            all.extend(init::mount(&record.host_config, &self.options.root)?);
            let pid = self
                .process_namespace(&record.host_config.pid_mode, "pid")
                .map_err(|error| Error::System(format!("failed to join PID namespace: {error}")))?;
            let ipc = self
                .process_namespace(&record.host_config.ipc_mode, "ipc")
                .map_err(|error| match error {
                    Error::NotFound(why) => Error::Invalid(why),
                    other => other,
                })
                .map_err(|error| error.prefixed("failed to join IPC namespace: "))?;
            let shm = self.shared_memory(container, &record)?;
            spec::build(
                &record,
                spec::Surroundings {
                    dir: container.dir.clone(),
                    mounts: all,
                    net,
                    pid,
                    ipc,
                    shm,
                    linked,
                },
            )
        })
        .map_err(|error| {
            // In words that Docker has for what comes of its runtime.
            let late = error.to_string().starts_with("failed to create task");
            let reached = if late {
                Reached::Process
            } else {
                Reached::Names
            };
            Refused::at(reached, error)
        })?;
        match unjoined {
            Some(error) => Err(Refused::at(Reached::Networks, error)),
            None => Ok(spec),
        }
    }

    /// Where a container finds names.
    async fn name_surroundings(
        self: &Arc<Self>,
        record: &Record,
    ) -> Result<host_files::Surroundings, Error> {
        let apart = record.is_cut_off() || record.host_config.network_mode == "host";
        let resolvers = match apart {
            true => network::Resolvers::default(),
            false => self.network().await?.resolvers(),
        };
        let bridge = || {
            let mut places = record.networks.values();
            places.find_map(|attachment| attachment.endpoint.as_ref()?.ipv4?.gateway)
        };
        Ok(host_files::Surroundings {
            resolvers,
            links: self.link_hosts(record),
            own_names: self.asks_us_for_names(record),
            gateway: self.localhost_alias().filter(|_| !apart).or_else(bridge),
        })
    }

    /// Writes a running container's files of names anew: its networks have changed.
    pub(crate) async fn rewrite_host_files(self: &Arc<Self>, container: &Arc<Container>) {
        let record = container.lock().record.clone();
        if record.state.pid().is_none() {
            return;
        }
        let written = match self.name_surroundings(&record).await {
            Ok(surroundings) => {
                let dir = container.dir.clone();
                blocking::run(move || {
                    let facts = host_files::Facts {
                        record: &record,
                        surroundings,
                    };
                    host_files::rewrite(&dir, &facts)
                })
                .await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!(container = container.id, %error, "its /etc/hosts is old");
        }
    }

    /// The namespace that `host`, `container:ID` or anything else (a new one) means.
    fn process_namespace(&self, mode: &str, kind: &str) -> Result<Namespace, Error> {
        if mode == "host" {
            return Ok(Namespace::Host);
        }
        let Some(other) = mode.strip_prefix("container:") else {
            return Ok(Namespace::New);
        };
        let pid = self.pid_of(other)?;
        Ok(Namespace::Path(format!("/proc/{pid}/ns/{kind}").into()))
    }

    pub(crate) fn pid_of(&self, name: &str) -> Result<i32, Error> {
        let other = self.container(name)?;
        let state = other.lock().record.state;
        state.pid().ok_or_else(|| Error::not_running(&other.id))
    }

    /// Gives the container's addresses and volumes back, and its shared memory. Its record still has its
    /// places on networks.
    pub(crate) async fn release_network(self: &Arc<Self>, container: &Arc<Container>) {
        shared_memory::release(container);
        self.release_volumes(container).await;
        self.leave_networks(container).await;
    }

    /// Whether an exit belongs to a start that is still being recorded; keeps it then.
    pub(crate) fn keep_early_exit(container: &Container, exit: &Exit) -> bool {
        let mut inner = container.lock();
        if inner.record.state.is_starting() {
            inner.early_exit = Some(exit.clone());
            return true;
        }
        false
    }
}

/// Records a start, unless the end comes first: until it is recorded, the warden knows of both.
async fn save_start(container: Arc<Container>, started_at: Time) {
    // What nobody else knows: ports that the machine answers for.
    if container.lock().record.ports.is_empty() {
        tokio::time::sleep(NEXT_CHANGE).await;
    }
    let (runs, since) = {
        let inner = container.lock();
        (inner.record.state.pid().is_some(), inner.record.started_at)
    };
    if runs && since == started_at {
        container.save_or_log().await;
    }
}

/// Takes the right to start; waits while somebody else is at it.
async fn claim(container: &Arc<Container>) -> Result<State, Error> {
    let claimed = container
        .until(|inner| {
            let state = inner.record.state;
            Some(match state {
                State::Starting { .. } => return None,
                State::Paused { .. } => Err(Error::Conflict(
                    "cannot start a paused container, try unpause instead".into(),
                )),
                State::Running { .. } | State::Restarting => Err(Error::NotModified),
                _ if inner.removing || inner.removed || state == State::Dead => Err(
                    Error::Conflict("container is marked for removal and cannot be started".into()),
                ),
                _ if inner.settling => return None,
                State::Created | State::Exited | State::Dead => {
                    inner.record.state = State::Starting { again: false };
                    Ok(state)
                }
            })
        })
        .await?;
    Ok(claimed)
}

/// A start that failed, with the exit code that Docker records for it, and how far it would have come
/// there.
pub(crate) struct Refused {
    pub(crate) error: Error,
    pub(crate) exit_code: i32,
    reached: Reached,
}

impl Refused {
    fn at(reached: Reached, error: Error) -> Self {
        Self {
            error,
            exit_code: UNKNOWN,
            reached,
        }
    }
}

/// What Docker says of a specification that can't be met: it finds that out before there is a
/// process, or before it calls its runtime at all.
fn unmet(why: &str, prefix: &str) -> String {
    if why.starts_with(NO_PROFILE) {
        return why.to_owned();
    }
    let before = prefix.split("unable to start container process: ").next();
    format!("{}{why}: unknown", before.unwrap_or_default())
}

/// Docker's error and exit code for a process that the warden could not start.
pub(crate) fn refusal(failure: &Failure, prefix: &str) -> Refused {
    // The last word is the name of a status in the protocol of dockerd's helpers; people search
    // for the whole line.
    let why = match failure.message.strip_suffix(": permission denied") {
        Some(why) if why.ends_with("is a directory") => why,
        _ => &failure.message,
    };
    let message = format!("{prefix}{why}: unknown");
    let lower = message.to_lowercase();
    let (error, exit_code) = match failure.reason {
        FailureReason::CommandNotFound => (Error::Invalid(message), 127),
        // The docker command looks for these words to choose its own exit code.
        FailureReason::CommandNotExecutable if lower.contains("permission denied") => {
            (Error::Invalid(message), 126)
        }
        FailureReason::CommandNotExecutable if lower.contains("is a directory") => {
            (Error::Invalid(format!("{message}: permission denied")), 126)
        }
        FailureReason::CommandNotExecutable => (Error::Invalid(message), 126),
        // dockerd finds this out before it calls its runtime.
        FailureReason::UnknownUser => (Error::System(failure.message.clone()), UNKNOWN),
        _ if lower.contains("not a directory") => (
            Error::Invalid(format!(
                "{message}: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
            )),
            127,
        ),
        _ if lower.contains("permission denied") => (Error::Invalid(message), 126),
        _ if lower.contains("no such file or directory") => (Error::Invalid(message), 127),
        FailureReason::NotFound => (Error::NotFound(message), UNKNOWN),
        FailureReason::InvalidSpec => (Error::System(unmet(&failure.message, prefix)), UNKNOWN),
        FailureReason::System => (Error::System(message), UNKNOWN),
    };
    let before = failure.reason == FailureReason::UnknownUser
        || failure.message.starts_with(NO_PROFILE) && exit_code == UNKNOWN;
    let reached = match before {
        true => Reached::Names,
        false => Reached::Process,
    };
    Refused {
        error,
        exit_code,
        reached,
    }
}
