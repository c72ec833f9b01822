//! The warden's one loop: signals, the engine's requests, and the streams of every process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use runtime::cgroup::Hierarchy;
use rustix::event::epoll::EventFlags;
use rustix::process::{WaitOptions, WaitStatus};

use crate::agent::Agent;
use crate::clock;
use crate::console;
use crate::ending::Ending;
use crate::engine_link::EngineLink;
use crate::error::{Context, Error};
use crate::kept::{Kept, Program};
use crate::poller::{Poller, Readiness, Token};
use crate::process::{FLOOD, LEFT_OVER, NOBODY, Phase, Process, SLOW_CLIENT};
use crate::protocol::{Event, Exit, Message, Outcome, Request, Target};
use crate::signals::{self, Signal, Signals};
use crate::source::{ProcessKey, Source};

/// The first moments of a boot belong to the engine.
const PORTS_AFTER: Duration = Duration::from_millis(500);

/// All that the warden knows.
pub struct Supervisor {
    pub(crate) poller: Poller<Source>,
    signals: Signals,
    pub(crate) agent: Agent,
    /// What leads published ports to containers, in the machine.
    pub(crate) ports: Option<Kept>,
    pub(crate) engine: Option<EngineLink>,
    pub(crate) hierarchy: Option<Hierarchy>,
    pub(crate) processes: BTreeMap<ProcessKey, Process>,
    pub(crate) index: BTreeMap<Target, ProcessKey>,
    pub(crate) next_key: u64,
    /// Processes whose watches must be looked at before the next wait.
    pub(crate) touched: BTreeSet<ProcessKey>,
    pub(crate) ending: Option<Ending>,
    /// A child that prepares the machine; starts wait for its end.
    preparation: Option<u32>,
    waiting_starts: VecDeque<(Request, Vec<OwnedFd>)>,
    /// Lists that were asked for while something starts.
    pub(crate) waiting_lists: Vec<u64>,
    /// Tell the console when the engine speaks for the first time.
    announce: bool,
    /// That devices can't be limited was said.
    pub(crate) devices_noted: bool,
}

impl Supervisor {
    /// Blocks the signals and makes ready.
    pub fn new(agent: Program) -> Result<Self, Error> {
        // A child has this from birth: no container can look into it before it says so itself.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .step("hide the warden's memory")?;
        let mut poller = Poller::new().step("make an epoll instance")?;
        let signals = Signals::new().step("make a signal descriptor")?;
        poller
            .add(&signals, Source::Signals, EventFlags::IN)
            .step("watch for signals")?;
        Ok(Self {
            poller,
            signals,
            agent: Agent::new(agent),
            ports: None,
            engine: None,
            hierarchy: None,
            processes: BTreeMap::new(),
            index: BTreeMap::new(),
            next_key: 1,
            touched: BTreeSet::new(),
            ending: None,
            preparation: None,
            waiting_starts: VecDeque::new(),
            waiting_lists: Vec::new(),
            announce: false,
            devices_noted: false,
        })
    }

    /// Finds the cgroups, without which containers run without limits. They must be mounted.
    pub fn find_cgroups(&mut self) {
        match Hierarchy::find() {
            Ok(hierarchy) => self.hierarchy = Some(hierarchy),
            Err(error) => {
                console::note(&format!("containers run without limits: {error}"));
            }
        }
    }

    /// Keeps a program beside the engine that leads published ports to containers.
    pub fn keep_ports(&mut self, program: Program) {
        self.ports = Some(Kept::new(program, PORTS_AFTER));
    }

    /// Prints the boot's last step once the engine is up, which its first request shows.
    pub fn announce_engine(&mut self) {
        self.announce = true;
    }

    /// Holds back starts until this child of ours has exited.
    pub fn wait_for(&mut self, child: u32) {
        self.preparation = Some(child);
    }

    /// Runs until told to power off or terminated.
    pub fn run(&mut self) -> Result<(), Error> {
        loop {
            self.start_agent();
            self.start_ports();
            self.settle_due();
            self.answer_lists();
            self.update_watches();
            if self.end_step() {
                return Ok(());
            }
            let timeout = self
                .next_deadline()
                .map(|at| at.saturating_duration_since(Instant::now()));
            let events = self.poller.wait(timeout).step("wait for events")?;
            for (token, readiness) in events {
                self.dispatch(token, readiness);
            }
        }
    }

    /// Starts the engine if it is due. It is served only by [`Supervisor::run`], which calls this
    /// too.
    pub fn start_agent(&mut self) {
        let due = self.agent.kept.due().is_some_and(|at| at <= Instant::now());
        if !due || self.ending.is_some() {
            return;
        }
        match self.agent.start() {
            Ok(socket) => self.connect_engine(EngineLink::new(socket)),
            Err(error) => console::note(&format!("the engine can't be started: {error}")),
        }
    }

    fn start_ports(&mut self) {
        let Some(ports) = self.ports.as_mut().filter(|_| self.ending.is_none()) else {
            return;
        };
        if ports.due().is_some_and(|at| at <= Instant::now())
            && let Err(error) = ports.start(signals::unblock)
        {
            console::note(&format!("published ports can't be led: {error}"));
        }
    }

    fn connect_engine(&mut self, mut link: EngineLink) {
        self.drop_engine();
        if link.update(&mut self.poller).is_ok() {
            self.engine = Some(link);
        }
    }

    pub(crate) fn drop_engine(&mut self) {
        if let Some(link) = self.engine.take() {
            link.close(&mut self.poller);
        }
        // The engine that asked is gone, and its attached sockets with it. The next one counts its
        // requests anew and must not take an answer for its own.
        self.waiting_starts.clear();
        self.waiting_lists.clear();
        for process in self.processes.values_mut() {
            if let Phase::Starting { seq, .. } = &mut process.phase {
                *seq = NOBODY;
            }
        }
    }

    /// Answers lists that had to wait until it is known what starts and what doesn't.
    fn answer_lists(&mut self) {
        let starting = |process: &Process| matches!(process.phase, Phase::Starting { .. });
        if self.waiting_lists.is_empty() || self.processes.values().any(starting) {
            return;
        }
        for seq in std::mem::take(&mut self.waiting_lists) {
            let processes = self.processes.values().filter_map(Process::state).collect();
            self.reply(seq, Outcome::Processes { processes });
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let processes = self.processes.values().filter_map(Process::deadline);
        let agent = self.agent.kept.due();
        let ports = self.ports.as_ref().and_then(Kept::due);
        let agent = agent
            .into_iter()
            .chain(ports)
            .filter(|_| self.ending.is_none());
        let ending = self.ending.as_ref().map(Ending::deadline);
        processes.chain(agent).chain(ending).min()
    }

    fn dispatch(&mut self, token: Token, readiness: Readiness) {
        let Some(source) = self.poller.source(token) else {
            return;
        };
        match source {
            Source::Signals => self.on_signals(),
            Source::Engine => self.on_engine(readiness),
            Source::Report(key) => self.on_report(key),
            Source::Output(key, stream) => {
                self.with_streams(key, |streams, poller| streams.on_output(poller, stream));
            }
            Source::Input(key) => {
                self.with_streams(key, |streams, poller| streams.write_input(poller));
            }
            Source::Client(key, client) => self.with_streams(key, |streams, poller| {
                streams.on_client(poller, client, readiness);
            }),
        }
    }

    fn with_streams(
        &mut self,
        key: ProcessKey,
        action: impl FnOnce(&mut crate::streams::Streams, &mut Poller<Source>),
    ) {
        if let Some(process) = self.processes.get_mut(&key) {
            action(&mut process.streams, &mut self.poller);
            self.touched.insert(key);
        }
    }

    fn on_signals(&mut self) {
        for signal in self.signals.take() {
            match signal {
                Signal::Child => self.reap(),
                Signal::Terminate => self.terminate(),
            }
        }
    }

    /// Collects every child that has ended: ours, the engine, and orphans that fell to us.
    pub(crate) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_pid();
            if self.ports.as_mut().is_some_and(|ports| ports.on_exit(pid)) {
                console::note("what leads published ports has ended");
            } else if self.agent.kept.on_exit(pid) {
                console::note("the engine has ended");
                self.drop_engine();
            } else if self
                .preparation
                .is_some_and(|child| child.cast_signed() == pid)
            {
                self.preparation = None;
                for (request, descriptors) in std::mem::take(&mut self.waiting_starts) {
                    self.handle(request, descriptors);
                }
            } else {
                let key = self
                    .processes
                    .iter()
                    .find(|(_, process)| process.pid == pid && process.is_alive())
                    .map(|(key, _)| *key);
                if let Some(key) = key {
                    self.on_exit(key, status);
                }
            }
        }
    }

    fn on_exit(&mut self, key: ProcessKey, status: WaitStatus) {
        // Reports may still be unread: they decide whether it ever ran.
        self.on_report(key);
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        if matches!(process.phase, Phase::Starting { .. }) {
            self.fail_start(key);
            return;
        }
        let code = status
            .exit_status()
            .or_else(|| status.terminating_signal().map(|signal| 128 + signal));
        let is_container = process.target.exec.is_none();
        let oom_killed = is_container
            && process
                .cgroup
                .as_ref()
                .is_some_and(|cgroup| cgroup.oom_kills() > 0);
        process.phase = Phase::Draining {
            exit: Exit {
                code: code.unwrap_or(255),
                oom_killed,
                finished_at: clock::now(),
            },
            since: Instant::now(),
        };
        if is_container && let Some(cgroup) = &process.cgroup {
            // With the host's processes its own live on, and hold its streams.
            crate::spawn::kill_rest(cgroup);
        }
        self.touched.insert(key);
    }

    /// Brings processes on whose last output is through, or whose time is up.
    fn settle_due(&mut self) {
        let due: Vec<_> = self
            .processes
            .iter()
            .filter(|(_, process)| matches!(process.phase, Phase::Draining { .. }))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            self.settle(key);
        }
    }

    fn settle(&mut self, key: ProcessKey) {
        let Some(process) = self.processes.get_mut(&key) else {
            return;
        };
        let Phase::Draining { exit, since } = &process.phase else {
            return;
        };
        let elapsed = since.elapsed();
        let streams = &mut process.streams;
        streams.read_rest(&mut self.poller, elapsed < SLOW_CLIENT);
        if !streams.is_drained()
            && ((elapsed >= LEFT_OVER && streams.is_quiet()) || elapsed >= FLOOD)
        {
            streams.give_up(&mut self.poller);
        }
        self.touched.insert(key);
        if !streams.is_drained() || !(streams.clients_finished() || elapsed >= SLOW_CLIENT) {
            return;
        }
        let exit = exit.clone();
        process.phase = Phase::Exited(exit.clone());
        let target = process.target.clone();
        let cgroup = process.cgroup.clone().filter(|_| target.exec.is_none());
        self.send(&Message::Event(Event::Exited { target, exit }));
        if let Some(cgroup) = cgroup {
            crate::spawn::remove_cgroup(&cgroup);
        }
    }

    fn update_watches(&mut self) {
        for key in std::mem::take(&mut self.touched) {
            let Some(process) = self.processes.get_mut(&key) else {
                continue;
            };
            if let Err(errno) = process.streams.update(&mut self.poller) {
                console::note(&format!("a stream can't be watched: {errno}"));
            }
            if process.streams.take_rotated() {
                let container = process.target.container.clone();
                self.send(&Message::Event(Event::LogRotated { container }));
            }
        }
        if let Some(link) = &mut self.engine
            && link.update(&mut self.poller).is_err()
        {
            self.drop_engine();
        }
    }

    fn on_engine(&mut self, readiness: Readiness) {
        let Some(link) = &mut self.engine else { return };
        let mut result = if readiness.writable {
            link.flush()
        } else {
            Ok(())
        };
        while result.is_ok() {
            let Some(link) = &mut self.engine else { return };
            match link.receive() {
                Ok(Some((request, descriptors))) => self.on_request(request, descriptors),
                Ok(None) => return,
                Err(error) => result = Err(error),
            }
        }
        // It is of no use without its socket, however alive it may be.
        self.drop_engine();
        self.agent.kept.kill();
    }

    fn on_request(&mut self, request: Request, descriptors: Vec<OwnedFd>) {
        if std::mem::take(&mut self.announce) {
            console::step("engine");
        }
        let start = matches!(request.call, crate::protocol::Call::Start { .. });
        if start && self.preparation.is_some() {
            self.waiting_starts.push_back((request, descriptors));
        } else {
            self.handle(request, descriptors);
        }
    }

    /// Sends to the engine, if there is one; a new one asks for a list.
    pub(crate) fn send(&mut self, message: &Message) {
        if let Some(link) = &mut self.engine
            && link.send(message).is_err()
        {
            self.drop_engine();
        }
    }
}
