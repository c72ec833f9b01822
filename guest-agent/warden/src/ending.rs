//! The orderly end: containers first, then the engine, then the loop returns.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::process::Phase;
use crate::supervisor::Supervisor;

/// How long containers may take after SIGTERM when nobody has stopped them before.
const CONTAINER_GRACE: Duration = Duration::from_secs(5);

/// How long the engine may take to stop its containers, each in its own way.
const STOP_GRACE: Duration = Duration::from_secs(40);

/// How long the engine may take to end.
const ENGINE_GRACE: Duration = Duration::from_secs(5);

/// Where the end has got to.
pub(crate) enum Ending {
    /// The engine was told, and is to stop its containers and say [`Call::PowerOff`]; at this time
    /// we do without it.
    ///
    /// [`Call::PowerOff`]: crate::protocol::Call::PowerOff
    Told(Instant),
    /// Containers are to go; at this time by force.
    Containers(Instant),
    /// Containers were killed; at this time we go on without them.
    Killed(Instant),
    /// The engine was asked to stop; at this time it is killed.
    Engine(Instant),
}

impl Ending {
    /// The engine asked for it, having stopped its containers: what is left is killed.
    pub(crate) fn power_off() -> Self {
        Self::Containers(Instant::now())
    }

    pub(crate) fn deadline(&self) -> Instant {
        match self {
            Self::Told(at) | Self::Containers(at) | Self::Killed(at) | Self::Engine(at) => *at,
        }
    }
}

impl Supervisor {
    /// Somebody sent us SIGTERM: the engine knows best how to stop its containers.
    pub(crate) fn terminate(&mut self) {
        if self.ending.is_none() {
            self.agent.kept.stop();
            self.ending = Some(Ending::Told(Instant::now() + STOP_GRACE));
        }
    }

    fn signal_containers(&self, signal: i32) {
        for process in self.processes.values().filter(|process| process.is_alive()) {
            let _ = runtime::send_signal(process.pidfd.as_fd(), signal);
            if signal == libc::SIGKILL
                && let Some(cgroup) = &process.cgroup
            {
                let _ = cgroup.kill();
            }
        }
    }

    /// One step of the end; true when all is over.
    pub(crate) fn end_step(&mut self) -> bool {
        let Some(ending) = &self.ending else {
            return false;
        };
        let late = ending.deadline() <= Instant::now();
        let containers_gone = self
            .processes
            .values()
            .all(|process| matches!(process.phase, Phase::Exited(_)));
        let next = Instant::now() + ENGINE_GRACE;
        match ending {
            Ending::Told(_) if late || !self.agent.kept.is_running() => {
                self.signal_containers(libc::SIGTERM);
                self.ending = Some(Ending::Containers(Instant::now() + CONTAINER_GRACE));
                return self.end_step();
            }
            Ending::Containers(_) | Ending::Killed(_) if containers_gone => {
                self.agent.kept.stop();
                self.ending = Some(Ending::Engine(next));
            }
            Ending::Containers(_) if late => {
                self.signal_containers(libc::SIGKILL);
                self.ending = Some(Ending::Killed(next));
            }
            Ending::Killed(_) if late => {
                self.agent.kept.stop();
                self.ending = Some(Ending::Engine(next));
            }
            Ending::Engine(_) if late => {
                self.agent.kept.kill();
                return true;
            }
            Ending::Engine(_) => return !self.agent.kept.is_running(),
            Ending::Told(_) | Ending::Containers(_) | Ending::Killed(_) => {}
        }
        matches!(self.ending, Some(Ending::Engine(_))) && !self.agent.kept.is_running()
    }
}
