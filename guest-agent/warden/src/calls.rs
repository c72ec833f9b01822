//! The engine's calls.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use runtime::cgroup::Cgroup;
use runtime::spec::Resources;
use rustix::termios::Winsize;

use crate::ending::Ending;
use crate::process::{NOBODY, Phase, Process};
use crate::protocol::{
    AttachStreams, Call, Failure, FailureReason, Message, Outcome, Reply, Request, Target,
};
use crate::source::{ClientKey, ProcessKey};
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Carries out one request and answers it; a start is answered when the child has reported.
    pub(crate) fn handle(&mut self, request: Request, descriptors: Vec<OwnedFd>) {
        let seq = request.seq;
        let outcome = match self.call(seq, request.call, descriptors) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return,
            Err(failure) => Outcome::Failed(failure),
        };
        self.reply(seq, outcome);
    }

    pub(crate) fn reply(&mut self, seq: u64, outcome: Outcome) {
        if seq == NOBODY {
            return;
        }
        self.send(&Message::Reply(Reply { seq, outcome }));
    }

    fn call(
        &mut self,
        seq: u64,
        call: Call,
        mut descriptors: Vec<OwnedFd>,
    ) -> Result<Option<Outcome>, Failure> {
        match call {
            Call::List => {
                self.waiting_lists.push(seq);
                return Ok(None);
            }
            Call::Start { spec, attach } => {
                if descriptors.is_empty() {
                    return Err(Failure {
                        reason: FailureReason::InvalidSpec,
                        message: "a start came without a root".into(),
                    });
                }
                let root = descriptors.remove(0);
                let clients = pair_up(attach, descriptors)?;
                self.start(seq, *spec, root.as_fd(), clients)?;
                return Ok(None);
            }
            Call::Exec {
                container,
                exec,
                process,
                attach,
            } => {
                let clients = pair_up(attach, descriptors)?;
                self.exec(seq, container, exec, &process, clients)?;
                return Ok(None);
            }
            Call::Attach { target, streams } => {
                let mut clients = pair_up(vec![streams], descriptors)?;
                let key = self.key_of(&target)?;
                if let Some((streams, socket)) = clients.pop() {
                    self.attach(key, streams, socket)?;
                }
            }
            Call::Signal { target, signal } => {
                let process = self.alive(&target)?;
                runtime::send_signal(process.pidfd.as_fd(), signal)
                    .map_err(|errno| system("signal the process", errno))?;
            }
            Call::Resize { target, rows, cols } => {
                let process = self.alive(&target)?;
                let size = Winsize {
                    ws_row: rows,
                    ws_col: cols,
                    ws_xpixel: 0,
                    ws_ypixel: 0,
                };
                // Docker takes a size for a process without a terminal, too.
                if let Some(terminal) = process.streams.terminal() {
                    rustix::termios::tcsetwinsize(terminal, size)
                        .map_err(|errno| system("set the terminal's size", errno))?;
                }
            }
            Call::Freeze { container, frozen } => self.freeze(container, frozen)?,
            Call::Update {
                container,
                resources,
            } => {
                let warnings = self.update(container, &resources)?;
                return Ok(Some(Outcome::Updated { warnings }));
            }
            Call::ReplaceLog {
                container,
                inode,
                compressed,
            } => self.replace_log(container, inode, &compressed)?,
            Call::Forget { target } => self.forget(&target)?,
            Call::PowerOff => self.ending = Some(Ending::power_off()),
        }
        Ok(Some(Outcome::Done))
    }

    pub(crate) fn key_of(&self, target: &Target) -> Result<ProcessKey, Failure> {
        self.index.get(target).copied().ok_or_else(not_found)
    }

    pub(crate) fn alive(&self, target: &Target) -> Result<&Process, Failure> {
        let key = self.key_of(target)?;
        self.processes
            .get(&key)
            .filter(|process| process.is_alive())
            .ok_or_else(not_found)
    }

    pub(crate) fn attach(
        &mut self,
        key: ProcessKey,
        streams: AttachStreams,
        socket: OwnedFd,
    ) -> Result<(), Failure> {
        let client = ClientKey(self.next_key);
        self.next_key += 1;
        let Some(process) = self.processes.get_mut(&key) else {
            return Err(not_found());
        };
        if matches!(process.phase, Phase::Exited(_)) {
            // Dropping the socket is the end of output at once.
            return Ok(());
        }
        process
            .streams
            .attach(client, socket, streams)
            .map_err(|errno| system("attach the client", errno))?;
        self.touched.insert(key);
        Ok(())
    }

    fn freeze(&self, container: String, frozen: bool) -> Result<(), Failure> {
        let target = Target {
            container,
            exec: None,
        };
        let cgroup = self
            .alive(&target)?
            .cgroup
            .as_ref()
            .ok_or_else(|| Failure {
                reason: FailureReason::System,
                message: "this machine has no cgroup v2, which pausing needs".into(),
            })?;
        cgroup
            .freeze(frozen)
            .map_err(|error| crate::spawn::failure(&error))
    }

    fn update(&self, container: String, resources: &Resources) -> Result<Vec<String>, Failure> {
        let target = Target {
            container,
            exec: None,
        };
        let cgroup = self.alive(&target)?.cgroup.as_ref();
        let limit = |cgroup: &Cgroup| cgroup.limit(resources);
        cgroup
            .map_or(Ok(Vec::new()), limit)
            .map_err(|error| crate::spawn::failure(&error))
    }

    fn replace_log(&self, container: String, inode: u64, compressed: &Path) -> Result<(), Failure> {
        let target = Target {
            container,
            exec: None,
        };
        let key = self.key_of(&target)?;
        let log = self
            .processes
            .get(&key)
            .and_then(|process| process.streams.log());
        log.ok_or_else(not_found)?
            .replace(inode, compressed)
            .map_err(|error| Failure {
                reason: FailureReason::System,
                message: format!("cannot replace a log file: {error}"),
            })
    }

    fn forget(&mut self, target: &Target) -> Result<(), Failure> {
        let key = self.key_of(target)?;
        let exited = self
            .processes
            .get(&key)
            .is_some_and(|process| matches!(process.phase, Phase::Exited(_)));
        if !exited {
            return Err(Failure {
                reason: FailureReason::InvalidSpec,
                message: "the process has not exited".into(),
            });
        }
        self.index.remove(target);
        if let Some(mut process) = self.processes.remove(&key) {
            if target.exec.is_none()
                && let Some(cgroup) = &process.cgroup
            {
                crate::spawn::remove_cgroup(cgroup);
            }
            process.streams.close(&mut self.poller);
        }
        Ok(())
    }
}

/// One socket for each client.
fn pair_up(
    attach: Vec<AttachStreams>,
    descriptors: Vec<OwnedFd>,
) -> Result<Vec<(AttachStreams, OwnedFd)>, Failure> {
    if attach.len() == descriptors.len() {
        Ok(attach.into_iter().zip(descriptors).collect())
    } else {
        Err(Failure {
            reason: FailureReason::InvalidSpec,
            message: format!(
                "{} clients came with {} sockets",
                attach.len(),
                descriptors.len()
            ),
        })
    }
}

fn not_found() -> Failure {
    Failure {
        reason: FailureReason::NotFound,
        message: "no such process".into(),
    }
}

pub(crate) fn system(step: &str, errno: rustix::io::Errno) -> Failure {
    Failure {
        reason: FailureReason::System,
        message: format!("cannot {step}: {errno}"),
    }
}
