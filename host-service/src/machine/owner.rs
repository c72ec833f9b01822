//! The one task that owns the machine: commands and events in, status out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::Home;
use client::wire::{self, Driver as Kind, Problem, StartRequest, State, Status};
use futures::FutureExt;
use futures::future::BoxFuture;
use link::Opener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Driver, Machine, Progress, Start};
use crate::ports::Ports;
use crate::problem::{Explain, problem};
use crate::settings::Settings;

/// How long a connection waits for the link to come back while the machine runs.
const RELINK: Duration = Duration::from_secs(30);

type Reply = oneshot::Sender<Result<(), Problem>>;

/// How a command is going to end.
pub(crate) type Pending = BoxFuture<'static, Result<(), Problem>>;

enum Command {
    Start {
        request: StartRequest,
        reply: Reply,
    },
    Stop {
        timeout: Duration,
        reply: Reply,
    },
    /// Answered when all commands before it were taken.
    Mark(oneshot::Sender<()>),
}

/// A handle to the owner.
#[derive(Clone)]
pub(crate) struct Owner {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Arc<Status>>,
    links: watch::Receiver<Option<Opener>>,
    ports: Ports,
}

impl Owner {
    /// The status, now and as it changes.
    pub(crate) fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// The published ports.
    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Starts the machine. The status says so when this returns; what it returns is done when the
    /// engine answers.
    pub(crate) async fn start(&self, request: StartRequest) -> Pending {
        let (reply, done) = oneshot::channel();
        self.ask(Command::Start { request, reply }, done).await
    }

    /// Stops the machine; in the same way done when it has ended.
    pub(crate) async fn stop(&self, timeout: Duration) -> Pending {
        let (reply, done) = oneshot::channel();
        self.ask(Command::Stop { timeout, reply }, done).await
    }

    async fn ask(&self, command: Command, done: oneshot::Receiver<Result<(), Problem>>) -> Pending {
        let (mark, taken) = oneshot::channel();
        // An owner that is gone drops the replies.
        let _ = self.commands.send(command).await;
        let _ = self.commands.send(Command::Mark(mark)).await;
        let _ = taken.await;
        async move {
            done.await
                .unwrap_or_else(|_| Err(problem("slipwayd is shutting down")))
        }
        .boxed()
    }

    /// The link to the engine; waits for a start that is under way.
    pub(crate) async fn engine(&self) -> Result<Opener, Problem> {
        let mut status = self.status.clone();
        loop {
            let now = status.borrow_and_update().clone();
            match now.machine.state {
                State::Creating | State::Starting => {
                    if status.changed().await.is_err() {
                        return Err(problem("slipwayd is shutting down"));
                    }
                }
                State::Running => {
                    let mut links = self.links.clone();
                    let live =
                        links.wait_for(|link| link.as_ref().is_some_and(|link| !link.is_closed()));
                    tokio::select! {
                        live = live => match live.as_deref() {
                            Ok(Some(link)) => return Ok(link.clone()),
                            _ => return Err(problem("slipwayd is shutting down")),
                        },
                        _ = status.changed() => {}
                        () = tokio::time::sleep(RELINK) => {
                            return Err(problem("the machine does not answer")
                                .hint("run `slipway machine restart`"));
                        }
                    }
                }
                State::Absent | State::Stopped => {
                    return Err(problem("Slipway's machine is not running")
                        .hint("start it with `slipway machine start`"));
                }
                State::Stopping => return Err(problem("Slipway's machine is stopping")),
                State::Failed => {
                    let mut failed = problem("Slipway's machine is not running")
                        .hint("start it again with `slipway machine start`");
                    failed.cause = now
                        .machine
                        .error
                        .as_ref()
                        .map(|error| error.message.clone());
                    return Err(failed);
                }
            }
        }
    }
}

enum Phase {
    Idle,
    Starting {
        task: JoinHandle<Result<Box<dyn Machine>, Problem>>,
        cancel: CancellationToken,
        /// Whether it runs already.
        adopts: bool,
    },
    Running(Box<dyn Machine>),
    Stopping(JoinHandle<Result<(), Problem>>),
}

enum Outcome {
    Started(Result<Box<dyn Machine>, Problem>),
    Ended(Problem),
    Stopped(Result<(), Problem>),
}

impl Phase {
    /// The next thing that happens by itself. May be dropped and called again.
    async fn next(&mut self) -> Outcome {
        match self {
            Self::Idle => std::future::pending().await,
            Self::Starting { task, .. } => Outcome::Started(match task.await {
                Ok(result) => result,
                Err(error) => Err(problem("the start broke off").because(error)),
            }),
            Self::Running(machine) => Outcome::Ended(machine.ended().await),
            Self::Stopping(task) => Outcome::Stopped(match task.await {
                Ok(result) => result,
                Err(error) => Err(problem("the stop broke off").because(error)),
            }),
        }
    }
}

struct Task {
    home: Home,
    settings: Settings,
    drivers: HashMap<&'static str, Arc<dyn Driver>>,
    driver: Arc<dyn Driver>,
    phase: Phase,
    status: watch::Sender<Arc<Status>>,
    links: watch::Sender<Option<Opener>>,
    ports: Ports,
    progress: mpsc::UnboundedReceiver<Progress>,
    starters: Vec<Reply>,
    stoppers: Vec<Reply>,
    /// Starts asked for while the machine stops.
    next: Vec<(StartRequest, Reply)>,
}

/// Begins to own the home's machine; adopts one that runs already.
pub(crate) fn own(home: &Home, drivers: Vec<Arc<dyn Driver>>) -> Result<Owner, Problem> {
    let settings = Settings::load(home)?;
    let drivers: HashMap<_, _> = drivers
        .into_iter()
        .map(|driver| (key(driver.kind()), driver))
        .collect();
    let chosen = settings.driver.unwrap_or(Kind::Qemu);
    let Some(driver) = drivers.get(key(chosen)).cloned() else {
        return Err(problem(format!("there is no driver {}", key(chosen))));
    };
    let (commands, receiver) = mpsc::channel(16);
    let (status, status_receiver) =
        watch::channel(Arc::new(Status::at_rest(home, chosen, State::Absent)));
    let (links, links_receiver) = watch::channel(None);
    let (_, progress) = mpsc::unbounded_channel();
    let ports = Ports::new();
    let mut task = Task {
        home: home.clone(),
        settings,
        drivers,
        driver,
        phase: Phase::Idle,
        status,
        links,
        ports: ports.clone(),
        progress,
        starters: Vec::new(),
        stoppers: Vec::new(),
        next: Vec::new(),
    };
    let idle = task.idle_state();
    task.change(|machine| machine.state = idle);
    task.adopt();
    tokio::spawn(task.run(receiver));
    Ok(Owner {
        commands,
        status: status_receiver,
        links: links_receiver,
        ports,
    })
}

fn key(kind: Kind) -> &'static str {
    match kind {
        Kind::Qemu => "qemu",
        Kind::Native => "native",
    }
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                Some(progress) = self.progress.recv() => self.progress(progress),
                outcome = self.phase.next() => {
                    while let Ok(progress) = self.progress.try_recv() {
                        self.progress(progress);
                    }
                    self.outcome(outcome);
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        match (command, &self.phase) {
            (Command::Mark(taken), _) => {
                let _ = taken.send(());
            }
            (Command::Start { request, reply }, Phase::Idle) => self.start(&request, reply),
            (Command::Start { request, reply }, Phase::Running(_) | Phase::Starting { .. }) => {
                if request
                    .driver
                    .is_some_and(|driver| driver != self.driver.kind())
                {
                    let running = key(self.driver.kind());
                    let _ = reply.send(Err(problem(format!("a {running} machine is running"))
                        .hint("stop it first with `slipway machine stop`")));
                } else if matches!(self.phase, Phase::Running(_)) {
                    let _ = reply.send(Ok(()));
                } else {
                    self.starters.push(reply);
                }
            }
            (Command::Start { request, reply }, Phase::Stopping(_)) => {
                self.next.push((request, reply));
            }
            (Command::Stop { reply, .. }, Phase::Idle) => {
                let idle = self.idle_state();
                self.change(|machine| {
                    machine.state = idle;
                    machine.error = None;
                });
                let _ = reply.send(Ok(()));
            }
            (Command::Stop { reply, .. }, Phase::Stopping(_)) => self.stoppers.push(reply),
            (Command::Stop { timeout, reply }, _) => {
                self.stoppers.push(reply);
                self.stop(timeout);
            }
        }
    }

    fn start(&mut self, request: &StartRequest, reply: Reply) {
        if let Some(kind) = request.driver
            && let Err(problem) = self.choose(kind)
        {
            let _ = reply.send(Err(problem));
            return;
        }
        self.starters.push(reply);
        let (start, cancel) = self.begin();
        self.change(|machine| machine.state = State::Starting);
        let task = tokio::spawn(self.driver.start(start));
        self.phase = Phase::Starting {
            task,
            cancel,
            adopts: false,
        };
    }

    /// Uses this driver from now on.
    fn choose(&mut self, kind: Kind) -> Result<(), Problem> {
        let Some(driver) = self.drivers.get(key(kind)) else {
            return Err(problem(format!("there is no driver {}", key(kind))));
        };
        self.driver = driver.clone();
        if self.settings.driver != Some(kind) {
            self.settings.driver = Some(kind);
            self.settings.save(&self.home)?;
        }
        Ok(())
    }

    /// Looks for a machine that runs already, with the chosen driver.
    fn adopt(&mut self) {
        if !self.driver.leftover() {
            return;
        }
        let (start, cancel) = self.begin();
        self.change(|machine| machine.state = State::Starting);
        let adopting = self.driver.adopt(start);
        let task = tokio::spawn(async move {
            match adopting.await {
                Some(adopted) => adopted,
                None => Err(nothing()),
            }
        });
        self.phase = Phase::Starting {
            task,
            cancel,
            adopts: true,
        };
    }

    fn begin(&mut self) -> (Start, CancellationToken) {
        let (progress, receiver) = mpsc::unbounded_channel();
        self.progress = receiver;
        let kind = self.driver.kind();
        let home = self.home.clone();
        let state = self.status.borrow().machine.state;
        self.status.send_modify(|status| {
            let mut fresh = Status::at_rest(&home, kind, State::Absent);
            fresh.machine.state = state;
            *status = Arc::new(fresh);
        });
        let cancel = CancellationToken::new();
        (
            Start {
                progress,
                links: self.links.clone(),
                ports: self.ports.clone(),
                cancel: cancel.clone(),
            },
            cancel,
        )
    }

    fn stop(&mut self, timeout: Duration) {
        self.change(|machine| machine.state = State::Stopping);
        let task = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Running(machine) => tokio::spawn(machine.stop(timeout)),
            Phase::Starting {
                mut task,
                cancel,
                adopts,
            } => {
                for starter in self.starters.drain(..) {
                    let _ = starter.send(Err(problem("the machine was stopped while it started")));
                }
                // What runs already has containers to stop and disks to write out.
                let patience = if adopts { timeout } else { Duration::ZERO };
                tokio::spawn(async move {
                    let ended = match tokio::time::timeout(patience, &mut task).await {
                        Ok(ended) => ended,
                        Err(_) => {
                            cancel.cancel();
                            task.await
                        }
                    };
                    match ended {
                        // It was ready in the same moment.
                        Ok(Ok(machine)) => machine.stop(timeout).await,
                        Ok(Err(_)) | Err(_) => Ok(()),
                    }
                })
            }
            Phase::Stopping(task) => task,
            Phase::Idle => return,
        };
        self.phase = Phase::Stopping(task);
    }

    fn outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Started(Ok(machine)) => {
                self.phase = Phase::Running(machine);
                self.change(|machine| machine.state = State::Running);
                reply_all(&mut self.starters, &Ok(()));
            }
            Outcome::Started(Err(error)) if error == nothing() => {
                // It ran no more; a start may wait for this already.
                self.rest();
                let idle = self.idle_state();
                self.change(|machine| machine.state = idle);
                for starter in std::mem::take(&mut self.starters) {
                    self.command(Command::Start {
                        request: StartRequest::default(),
                        reply: starter,
                    });
                }
            }
            Outcome::Started(Err(error)) => {
                tracing::warn!(?error, "the machine did not start");
                self.fail(error.clone());
                reply_all(&mut self.starters, &Err(error));
            }
            Outcome::Ended(error) => {
                tracing::warn!(?error, "the machine ended by itself");
                self.fail(error);
            }
            Outcome::Stopped(result) => {
                self.rest();
                let idle = self.idle_state();
                self.change(|machine| machine.state = idle);
                if let Err(error) = &result {
                    tracing::warn!(?error, "the machine did not stop as it should");
                }
                reply_all(&mut self.stoppers, &result);
                for (request, reply) in std::mem::take(&mut self.next) {
                    self.command(Command::Start { request, reply });
                }
            }
        }
    }

    fn fail(&mut self, error: Problem) {
        self.rest();
        self.change(|machine| {
            machine.state = State::Failed;
            machine.error = Some(error);
        });
    }

    /// Nothing runs now.
    fn rest(&mut self) {
        self.phase = Phase::Idle;
        self.links.send_replace(None);
        self.ports.clear();
        self.change(|machine| machine.pid = None);
    }

    fn idle_state(&self) -> State {
        if self.driver.exists() {
            State::Stopped
        } else {
            State::Absent
        }
    }

    fn progress(&mut self, progress: Progress) {
        self.status.send_modify(|status| {
            let machine = &mut Arc::make_mut(status).machine;
            match progress {
                Progress::State(state) => machine.state = state,
                Progress::Steps(steps) => machine.steps = steps,
                Progress::Accelerator { name, note } => {
                    machine.accelerator = Some(name.to_owned());
                    machine.accelerator_note = note;
                }
                Progress::Process(pid) => machine.pid = Some(pid),
                Progress::Snapshot(snapshot) => machine.snapshot = snapshot,
                Progress::Size {
                    cpus,
                    memory_bytes,
                    disk_bytes,
                } => {
                    machine.cpus = cpus;
                    machine.memory_bytes = memory_bytes;
                    machine.disk_bytes = disk_bytes;
                }
                Progress::Disk(bytes) => machine.disk_bytes = Some(bytes),
                Progress::Booted { ms } => machine.boot_ms = Some(ms),
                Progress::Warnings(warnings) => machine.warnings = warnings,
            }
        });
    }

    fn change(&mut self, change: impl FnOnce(&mut wire::Machine)) {
        self.status
            .send_modify(|status| change(&mut Arc::make_mut(status).machine));
    }
}

/// What the first look answers when no machine runs.
fn nothing() -> Problem {
    problem("no machine runs")
}

fn reply_all(replies: &mut Vec<Reply>, result: &Result<(), Problem>) {
    for reply in replies.drain(..) {
        let _ = reply.send(result.clone());
    }
}
