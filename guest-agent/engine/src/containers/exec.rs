//! `docker exec`: another process in a running container.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::spec::{Process, Seccomp};
use tokio::net::UnixStream;
use tokio::sync::watch;
use warden::protocol::{AttachStreams, Call, Exit, Outcome, Target};

use super::attach::socket_pair;
use super::detach::DetachScanner;
use super::{Container, Record, State, capabilities, env, security, spec};
use crate::{Engine, Error, ids};

/// How long a finished exec can still be inspected.
const KEPT: Duration = Duration::from_secs(300);

/// How long a resize waits for the session's process.
const RESIZE_PATIENCE: Duration = Duration::from_secs(10);

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// Program and arguments.
    pub cmd: Vec<String>,
    /// Additions to the environment.
    pub env: Vec<String>,
    /// User; the container's when empty.
    pub user: String,
    /// Working directory; the container's when empty.
    pub working_dir: String,
    /// With a terminal.
    pub tty: bool,
    /// All capabilities.
    pub privileged: bool,
    /// Attach standard input.
    pub attach_stdin: bool,
    /// Attach standard output.
    pub attach_stdout: bool,
    /// Attach standard error.
    pub attach_stderr: bool,
    /// Rows and columns.
    pub console_size: Option<(u16, u16)>,
    /// Keys that detach.
    pub detach_keys: String,
}

/// Where an exec session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExecState {
    Created,
    Starting,
    Running {
        pid: i32,
    },
    /// The process id is 0 when there was no process.
    Ended {
        pid: i32,
        code: i32,
    },
}

impl ExecState {
    fn pid(self) -> i32 {
        match self {
            Self::Running { pid } | Self::Ended { pid, .. } => pid,
            Self::Created | Self::Starting => 0,
        }
    }

    fn exit_code(self) -> Option<i32> {
        match self {
            Self::Ended { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// An exec session.
#[derive(Debug)]
pub(crate) struct Exec {
    id: String,
    container: Arc<Container>,
    request: ExecRequest,
    state: Mutex<ExecState>,
    /// Turns true with the end; a client's stream is closed only after it, because the client's
    /// next question is the exit code.
    ended: watch::Sender<bool>,
}

/// An exec session at one instant.
#[derive(Debug, Clone)]
pub struct ExecSnapshot {
    /// Its id.
    pub id: String,
    /// The container's id.
    pub container: String,
    /// What was asked for.
    pub request: ExecRequest,
    /// Whether it runs.
    pub running: bool,
    /// Process id on the machine, kept after the end; 0 before the start.
    pub pid: i32,
    /// How it ended.
    pub exit_code: Option<i32>,
    /// The bytes of the keys that detach; empty is the default.
    pub detach_keys: Vec<u8>,
}

/// Where the output of an exec session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecOutput {
    /// Nowhere: it was started detached.
    Nowhere,
    /// To the client, in Docker's frames.
    Framed,
    /// To the client as it is, without standard error unless a terminal mixed it in.
    Raw,
}

/// A started exec session.
#[derive(Debug)]
pub struct ExecStart {
    /// Its streams; nothing when it was started detached or attaches none.
    pub stream: Option<UnixStream>,
    /// Watches for the detach keys, with a terminal.
    pub scanner: Option<DetachScanner>,
    /// Turns true once the exit code is known.
    pub ended: watch::Receiver<bool>,
}

impl Exec {
    fn state(&self) -> MutexGuard<'_, ExecState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// How it ended, if it has.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.state().exit_code()
    }

    /// The program and its arguments, as events say them.
    fn command(&self) -> String {
        let (program, arguments) = match self.request.cmd.split_first() {
            Some((program, arguments)) => (program.as_str(), arguments),
            None => ("", [].as_slice()),
        };
        format!("{program} {}", arguments.join(" "))
    }

    fn target(&self) -> Target {
        Target {
            container: self.container.id.clone(),
            exec: Some(self.id.clone()),
        }
    }
}

/// The container must run and not be frozen.
fn check_active(container: &Container, name: &str) -> Result<(), Error> {
    match container.lock().record.state {
        State::Running { .. } => Ok(()),
        State::Paused { .. } => Err(Error::Conflict(format!(
            "Container {name} is paused, unpause the container before exec"
        ))),
        state if state.is_restarting() => Err(Error::Conflict(format!(
            "Container {} is restarting, wait until the container is running",
            container.id
        ))),
        _ => Err(Error::not_running(&container.id)),
    }
}

impl Engine {
    fn execs(&self) -> MutexGuard<'_, std::collections::HashMap<String, Arc<Exec>>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exec(&self, id: &str) -> Result<Arc<Exec>, Error> {
        self.execs()
            .get(id)
            .cloned()
            .ok_or_else(|| Error::NotFound(format!("No such exec instance: {id}")))
    }

    /// Prepares an exec session and returns its id.
    pub fn create_exec(&self, name: &str, request: ExecRequest) -> Result<String, Error> {
        if request.cmd.is_empty() {
            return Err(Error::Invalid("No exec command specified".into()));
        }
        let container = self.container(name)?;
        check_active(&container, name)?;
        if DetachScanner::parse(&request.detach_keys).is_err() {
            return Err(Error::System(format!(
                "Invalid escape keys ({}) provided",
                request.detach_keys
            )));
        }
        let pid = container.lock().record.state.pid();
        if let Some(pid) = pid
            && !request.user.is_empty()
        {
            super::exec_user::check(pid, &request.user)?;
        }
        Ok(self.add_exec(&container, request)?.id.clone())
    }

    /// Adds a session to a container that runs; what the request leaves out is the container's.
    pub(crate) fn add_exec(
        &self,
        container: &Arc<Container>,
        mut request: ExecRequest,
    ) -> Result<Arc<Exec>, Error> {
        let id = ids::random_id()?;
        {
            let mut inner = container.lock();
            inner.exec_ids.push(id.clone());
            let config = &inner.record.config;
            for (own, theirs) in [
                (&mut request.user, &config.user),
                (&mut request.working_dir, &config.working_dir),
            ] {
                if own.is_empty() {
                    own.clone_from(theirs);
                }
            }
        }
        let exec = Arc::new(Exec {
            id,
            container: Arc::clone(container),
            request,
            state: Mutex::new(ExecState::Created),
            ended: watch::Sender::new(false),
        });
        self.execs().insert(exec.id.clone(), Arc::clone(&exec));
        self.exec_event(&exec, &format!("exec_create: {}", exec.command()));
        Ok(exec)
    }

    fn exec_event(&self, exec: &Exec, action: &str) {
        self.container_event(&exec.container, action, &[("execID", exec.id.clone())]);
    }

    /// Notes that a client has typed the detach keys.
    pub fn exec_detached(&self, id: &str) {
        if let Ok(exec) = self.exec(id) {
            self.exec_event(&exec, "exec_detach");
        }
    }

    /// Sends a signal to a session's process; one that has ended needs none.
    pub(crate) async fn signal_exec(&self, exec: &Exec, signal: i32) {
        let target = exec.target();
        let call = Call::Signal { target, signal };
        if let Err(failure) = self.warden.call(call, Vec::new()).await {
            tracing::debug!(exec = exec.id, %failure, "the session takes no signal");
        }
    }

    /// Whether the session may be started now; what is said before a connection is taken over.
    pub fn check_exec(&self, id: &str) -> Result<(), Error> {
        let exec = self.exec(id)?;
        check_active(&exec.container, &exec.container.id)
    }

    /// Starts an exec session; returns its streams unless the output goes nowhere.
    pub async fn start_exec(
        self: &Arc<Self>,
        id: &str,
        output: ExecOutput,
        console_size: Option<(u16, u16)>,
    ) -> Result<ExecStart, Error> {
        let exec = self.exec(id)?;
        check_active(&exec.container, &exec.container.id)?;
        {
            let mut state = exec.state();
            match *state {
                ExecState::Created => *state = ExecState::Starting,
                ExecState::Ended { .. } => {
                    return Err(Error::Conflict(format!(
                        "exec command {id} has already run"
                    )));
                }
                _ => {
                    return Err(Error::Conflict(format!(
                        "exec command {id} is already running"
                    )));
                }
            }
        }
        self.exec_event(&exec, &format!("exec_start: {}", exec.command()));
        let started = self.start_exec_claimed(&exec, output, console_size).await;
        if started.is_err() {
            let mut state = exec.state();
            if *state == ExecState::Starting {
                *state = ExecState::Ended { pid: 0, code: 126 };
            }
            drop(state);
            self.exec_over(&exec);
        }
        started
    }

    async fn start_exec_claimed(
        self: &Arc<Self>,
        exec: &Arc<Exec>,
        output: ExecOutput,
        console_size: Option<(u16, u16)>,
    ) -> Result<ExecStart, Error> {
        let request = &exec.request;
        let record = exec.container.lock().record.clone();
        let linked = self.link_environment(&record).unwrap_or_default();
        let mut process = process(&record, request, &linked)?;
        if request.tty && console_size.is_some() {
            process.console_size = console_size;
        }
        let streams = AttachStreams {
            stdin: request.attach_stdin,
            stdout: request.attach_stdout,
            stderr: request.attach_stderr && output == ExecOutput::Framed,
            raw: output == ExecOutput::Raw,
        };
        // A client that wants none of the streams has its answer with the start.
        let nothing = !(request.attach_stdin || request.attach_stdout || request.attach_stderr);
        let (attached, fds, stream) = if nothing || output == ExecOutput::Nowhere {
            (Vec::new(), Vec::new(), None)
        } else {
            let (theirs, ours) = socket_pair()?;
            (vec![streams], vec![theirs], Some(ours))
        };
        let call = Call::Exec {
            container: exec.container.id.clone(),
            exec: exec.id.clone(),
            process: Box::new(process),
            attach: attached,
        };
        match self.warden.call(call, fds).await {
            Ok(Outcome::Started { pid, .. }) => {
                let mut state = exec.state();
                *state = match *state {
                    // A short process may have ended before this answer was read.
                    ExecState::Ended { code, .. } => ExecState::Ended { pid, code },
                    _ => ExecState::Running { pid },
                };
                exec.ended.send_modify(|_| ());
            }
            Ok(other) => {
                return Err(Error::System(format!(
                    "the warden gave an unexpected answer to an exec: {other:?}"
                )));
            }
            Err(failure) => {
                let refused = super::start::refusal(
                    &failure,
                    "OCI runtime exec failed: exec failed: unable to start container process: ",
                );
                *exec.state() = ExecState::Ended {
                    pid: 0,
                    code: refused.exit_code,
                };
                return Err(refused.error);
            }
        }
        let scanner = if request.tty {
            Some(DetachScanner::parse(&request.detach_keys)?)
        } else {
            None
        };
        Ok(ExecStart {
            stream,
            scanner,
            ended: exec.ended.subscribe(),
        })
    }

    /// The session at this instant.
    pub fn inspect_exec(&self, id: &str) -> Result<ExecSnapshot, Error> {
        let exec = self.exec(id)?;
        let state = *exec.state();
        Ok(ExecSnapshot {
            id: exec.id.clone(),
            container: exec.container.id.clone(),
            request: exec.request.clone(),
            running: matches!(state, ExecState::Running { .. } | ExecState::Starting),
            pid: state.pid(),
            exit_code: state.exit_code(),
            detach_keys: match exec.request.detach_keys.as_str() {
                "" => Vec::new(),
                keys => DetachScanner::parse(keys)?.keys().to_vec(),
            },
        })
    }

    /// Sets the size of the session's terminal.
    pub async fn resize_exec(&self, id: &str, rows: u16, cols: u16) -> Result<(), Error> {
        let exec = self.exec(id)?;
        check_active(&exec.container, &exec.container.id)?;
        let ready = async {
            let mut changes = exec.ended.subscribe();
            while matches!(*exec.state(), ExecState::Created | ExecState::Starting) {
                // The sender lives as long as the session.
                let _ = changes.changed().await;
            }
        };
        if tokio::time::timeout(RESIZE_PATIENCE, ready).await.is_err() {
            return Err(Error::System(
                "timeout waiting for exec session ready".into(),
            ));
        }
        if matches!(*exec.state(), ExecState::Ended { pid: 0, .. }) {
            return Err(Error::Invalid("exec process is not started".into()));
        }
        if matches!(*exec.state(), ExecState::Ended { .. }) {
            return Err(Error::NotFound(format!(
                "NotFound: process does not exist {id}: not found"
            )));
        }
        self.warden
            .call(
                Call::Resize {
                    target: exec.target(),
                    rows,
                    cols,
                },
                Vec::new(),
            )
            .await
            .map_err(|failure| Error::System(failure.message))?;
        Ok(())
    }

    /// Takes the end of a session from the warden. Returns at once.
    pub(crate) fn on_exec_exit(self: &Arc<Self>, target: &Target, exit: &Exit) {
        let forget = Arc::clone(self);
        let forgotten = target.clone();
        tokio::spawn(async move { forget.warden.forget(forgotten).await });
        let Some(Ok(exec)) = target.exec.as_deref().map(|id| self.exec(id)) else {
            return;
        };
        {
            let mut state = exec.state();
            let pid = state.pid();
            *state = ExecState::Ended {
                pid,
                code: exit.code,
            };
        }
        self.container_event(
            &exec.container,
            "exec_die",
            &[
                ("exitCode", exit.code.to_string()),
                ("execID", exec.id.clone()),
            ],
        );
        self.exec_over(&exec);
    }

    /// Takes the session out of its container at once and out of memory after a while.
    fn exec_over(self: &Arc<Self>, exec: &Arc<Exec>) {
        exec.ended.send_replace(true);
        exec.container.lock().exec_ids.retain(|id| *id != exec.id);
        let engine = Arc::clone(self);
        let id = exec.id.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            engine.execs().remove(&id);
        });
    }

    /// The container has ended: what was never started in it never will be.
    pub(crate) fn end_execs_of(&self, container: &Container) {
        let mut unstarted = Vec::new();
        self.execs().retain(|_, exec| {
            let stays = exec.container.id != container.id || *exec.state() != ExecState::Created;
            if !stays {
                unstarted.push(Arc::clone(exec));
            }
            stays
        });
        let mut inner = container.lock();
        for exec in unstarted {
            exec.ended.send_replace(true);
            inner.exec_ids.retain(|id| *id != exec.id);
        }
    }

    /// The container is gone, and its sessions with it.
    pub(crate) fn forget_execs_of(&self, container: &Container) {
        self.execs()
            .retain(|_, exec| exec.container.id != container.id);
    }
}

fn process(record: &Record, request: &ExecRequest, linked: &[String]) -> Result<Process, Error> {
    let security = security::read(&record.host_config)?;
    let mut environment = env::environment(record, request.tty, linked);
    env::override_with(&mut environment, &request.env);
    let privileged = request.privileged || record.host_config.privileged;
    Ok(Process {
        args: request.cmd.clone(),
        env: environment,
        cwd: spec::cwd(&request.working_dir),
        user: request.user.clone(),
        additional_groups: record.host_config.group_add.clone().unwrap_or_default(),
        tty: request.tty,
        console_size: request.console_size.filter(|_| request.tty),
        capabilities: if privileged {
            capabilities::all()
        } else {
            spec::container_capabilities(record)?
        },
        no_new_privileges: security.no_new_privileges,
        oom_score_adj: record.host_config.oom_score_adj,
        rlimits: spec::rlimits(record),
        // A profile that somebody chose holds for all.
        seccomp: match security.seccomp {
            Seccomp::Default if privileged => Seccomp::Unconfined,
            chosen => chosen,
        },
        open_stdin: request.attach_stdin,
        stdin_once: true,
    })
}
