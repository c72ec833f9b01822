//! Starting containers and exec sessions, up to the child's report that it runs or why not.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use runtime::cgroup::Cgroup;
use runtime::spec::{ContainerSpec, DeviceRule, LogSpec, Process as ProcessSpec};
use runtime::{ExecIn, Kind, Report, Starting, Stdio};
use rustix::event::epoll::EventFlags;

use crate::calls::system;
use crate::clock;
use crate::log::Log;
use crate::process::{Phase, Process};
use crate::protocol::{AttachStreams, Failure, FailureReason, Outcome, Target};
use crate::source::{ProcessKey, Source};
use crate::streams::Streams;
use crate::supervisor::Supervisor;

type Clients = Vec<(AttachStreams, OwnedFd)>;

/// The parts of a process that was just forked.
struct Newcomer {
    /// The engine's request.
    seq: u64,
    target: Target,
    starting: Starting,
    log: Option<Log>,
    cgroup: Option<Cgroup>,
    /// What could not be done as it was asked for.
    warnings: Vec<String>,
}

impl Supervisor {
    /// Forks a container; the reply follows the child's report.
    pub(crate) fn start(
        &mut self,
        seq: u64,
        spec: ContainerSpec,
        root: BorrowedFd<'_>,
        clients: Clients,
    ) -> Result<(), Failure> {
        let target = Target {
            container: spec.id.clone(),
            exec: None,
        };
        self.refuse_known(&target)?;
        let log = open_log(&spec.log)?;
        let mut warnings = Vec::new();
        let cgroup = match &self.hierarchy {
            None => None,
            Some(hierarchy) => {
                let cgroup;
                (cgroup, warnings) = hierarchy
                    .create(&spec.cgroup, &spec.resources)
                    .map_err(|error| failure(&error))?;
                if !spec.privileged {
                    self.limit_devices(&cgroup, &spec.device_rules);
                }
                Some(cgroup)
            }
        };
        let started = cgroup
            .as_ref()
            .map(Cgroup::open)
            .transpose()
            .and_then(|directory| runtime::start(&spec, root, directory.as_ref().map(AsFd::as_fd)));
        match started {
            Ok(starting) => {
                let news = Newcomer {
                    seq,
                    target,
                    starting,
                    log,
                    cgroup,
                    warnings,
                };
                self.adopt(news, &spec.process, clients)
            }
            Err(error) => {
                if let Some(cgroup) = &cgroup {
                    remove_cgroup(cgroup);
                }
                Err(failure(&error))
            }
        }
    }

    /// A kernel without the device filter still runs containers, and says so once.
    fn limit_devices(&mut self, cgroup: &Cgroup, rules: &[DeviceRule]) {
        if let Err(error) = cgroup.allow_devices(rules)
            && !std::mem::replace(&mut self.devices_noted, true)
        {
            let why = failure(&error).message;
            crate::console::note(&format!("containers may open any device: {why}"));
        }
    }

    /// Forks an exec session; the reply follows the child's report.
    pub(crate) fn exec(
        &mut self,
        seq: u64,
        container: String,
        exec: String,
        spec: &ProcessSpec,
        clients: Clients,
    ) -> Result<(), Failure> {
        let target = Target {
            container: container.clone(),
            exec: Some(exec),
        };
        self.refuse_known(&target)?;
        let init = self.alive(&Target {
            container,
            exec: None,
        })?;
        let cgroup = init.cgroup.clone();
        let directory = cgroup
            .as_ref()
            .map(Cgroup::open)
            .transpose()
            .map_err(|error| failure(&error))?;
        let place = ExecIn {
            init: init.pidfd.as_fd(),
            cgroup: directory.as_ref().map(AsFd::as_fd),
        };
        let starting = runtime::exec(place, spec).map_err(|error| failure(&error))?;
        let news = Newcomer {
            seq,
            target,
            starting,
            log: None,
            cgroup,
            warnings: Vec::new(),
        };
        self.adopt(news, spec, clients)
    }

    fn refuse_known(&self, target: &Target) -> Result<(), Failure> {
        if self.index.contains_key(target) {
            return Err(Failure {
                reason: FailureReason::InvalidSpec,
                message: "a process of this name is already known".into(),
            });
        }
        Ok(())
    }

    fn adopt(
        &mut self,
        news: Newcomer,
        spec: &ProcessSpec,
        clients: Clients,
    ) -> Result<(), Failure> {
        let Newcomer {
            seq,
            target,
            starting,
            log,
            cgroup,
            warnings,
        } = news;
        let key = ProcessKey(self.next_key);
        self.next_key += 1;
        let once = spec.stdin_once || target.exec.is_some();
        let mut streams = Streams::new(key, spec.tty, once, log);
        let prepared = match starting.stdio {
            Stdio::Terminal => Ok(()),
            Stdio::Pipes {
                stdin,
                stdout,
                stderr,
            } => streams.set_pipes(stdin, stdout, stderr),
        };
        let watched = prepared.and_then(|()| {
            self.poller
                .add(&starting.channel, Source::Report(key), EventFlags::IN)
        });
        let token = watched.map_err(|errno| {
            let _ = runtime::send_signal(starting.pidfd.as_fd(), libc::SIGKILL);
            system("watch the new process", errno)
        })?;
        let process = Process {
            target: target.clone(),
            pid: starting.pid,
            pidfd: starting.pidfd,
            started_at: clock::now(),
            phase: Phase::Starting {
                seq,
                channel: starting.channel,
                token,
                failure: None,
                warnings,
            },
            streams,
            cgroup,
        };
        self.processes.insert(key, process);
        self.index.insert(target, key);
        for (streams, socket) in clients {
            self.attach(key, streams, socket)?;
        }
        self.touched.insert(key);
        Ok(())
    }

    /// Reads what a starting child reports.
    pub(crate) fn on_report(&mut self, key: ProcessKey) {
        loop {
            let Some(process) = self.processes.get_mut(&key) else {
                return;
            };
            let Phase::Starting {
                seq,
                channel,
                token,
                failure,
                warnings,
            } = &mut process.phase
            else {
                return;
            };
            self.touched.insert(key);
            match runtime::receive(&*channel) {
                Ok(None) => return,
                Ok(Some(Report::Terminal(master))) => {
                    if let Err(errno) = process.streams.set_terminal(master) {
                        *failure = Some(system("take over the terminal", errno));
                        let _ = runtime::send_signal(process.pidfd.as_fd(), libc::SIGKILL);
                    }
                }
                Ok(Some(Report::Failed(why))) => *failure = Some(from_runtime(why)),
                Ok(Some(Report::Running)) | Err(_) => {
                    self.poller.remove(channel.as_fd(), *token);
                    if failure.is_some() {
                        // Its end is at hand, and is where the failure is reported.
                        return;
                    }
                    let seq = *seq;
                    let warnings = std::mem::take(warnings);
                    process.phase = Phase::Running;
                    process.started_at = clock::now();
                    let outcome = Outcome::Started {
                        pid: process.pid,
                        started_at: process.started_at.clone(),
                        warnings,
                    };
                    self.reply(seq, outcome);
                    return;
                }
            }
        }
    }

    /// A child that could not become its program has ended.
    pub(crate) fn fail_start(&mut self, key: ProcessKey) {
        let Some(mut process) = self.processes.remove(&key) else {
            return;
        };
        self.index.remove(&process.target);
        process.streams.close(&mut self.poller);
        if process.target.exec.is_none()
            && let Some(cgroup) = &process.cgroup
        {
            remove_cgroup(cgroup);
        }
        if let Phase::Starting {
            seq,
            channel,
            token,
            failure,
            ..
        } = process.phase
        {
            self.poller.remove(channel.as_fd(), token);
            let failure = failure.unwrap_or_else(|| Failure {
                reason: FailureReason::System,
                message: "the container's process died while it was being set up".into(),
            });
            self.reply(seq, Outcome::Failed(failure));
        }
    }
}

fn open_log(spec: &LogSpec) -> Result<Option<Log>, Failure> {
    Log::open(spec).map_err(|error| Failure {
        reason: FailureReason::System,
        message: format!(
            "cannot open the log {}: {error}",
            spec.path.clone().unwrap_or_default().display()
        ),
    })
}

/// Kills what is left in a cgroup.
pub(crate) fn kill_rest(cgroup: &Cgroup) {
    if cgroup.is_populated() {
        let _ = cgroup.kill();
    }
}

/// Kills what is left in a cgroup and removes it. What can't be removed yet is removed when the
/// engine forgets the container.
pub(crate) fn remove_cgroup(cgroup: &Cgroup) {
    kill_rest(cgroup);
    let _ = cgroup.remove();
}

/// A failure of the runtime's parent side.
pub(crate) fn failure(error: &runtime::Error) -> Failure {
    from_runtime(runtime::Failure::from(error))
}

fn from_runtime(failure: runtime::Failure) -> Failure {
    let reason = match failure.kind {
        Kind::CommandNotFound => FailureReason::CommandNotFound,
        Kind::CommandNotExecutable => FailureReason::CommandNotExecutable,
        Kind::UnknownUser => FailureReason::UnknownUser,
        Kind::InvalidSpec => FailureReason::InvalidSpec,
        Kind::System => FailureReason::System,
    };
    Failure {
        reason,
        message: failure.message,
    }
}
