//! epoll, with each descriptor's events delivered as a value of the caller's.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// What a descriptor was registered as; 0 means not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u64);

/// What happened on a descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readiness {
    /// Something to read, or the end.
    pub(crate) readable: bool,
    /// Room to write, or nobody to read it.
    pub(crate) writable: bool,
    /// The other side is gone for good.
    pub(crate) hang_up: bool,
}

/// Level-triggered epoll.
pub(crate) struct Poller<S> {
    epoll: OwnedFd,
    sources: BTreeMap<u64, S>,
    next: u64,
    events: Vec<Event>,
}

impl<S: Copy> Poller<S> {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            sources: BTreeMap::new(),
            next: 1,
            events: Vec::with_capacity(64),
        })
    }

    /// Starts watching a descriptor.
    pub(crate) fn add(
        &mut self,
        fd: impl AsFd,
        source: S,
        flags: EventFlags,
    ) -> Result<Token, Errno> {
        let token = self.next;
        self.next += 1;
        epoll::add(&self.epoll, fd, EventData::new_u64(token), flags)?;
        self.sources.insert(token, source);
        Ok(Token(token))
    }

    /// Changes what is watched for. Even without flags the end of the connection is reported.
    pub(crate) fn modify(
        &self,
        fd: impl AsFd,
        token: Token,
        flags: EventFlags,
    ) -> Result<(), Errno> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(token.0), flags)
    }

    /// Stops watching a descriptor, which must still be open.
    pub(crate) fn remove(&mut self, fd: impl AsFd, token: Token) {
        self.sources.remove(&token.0);
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits for events, at most for the time given.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
    ) -> Result<Vec<(Token, Readiness)>, Errno> {
        let timeout = timeout.map(|duration| Timespec {
            tv_sec: duration.as_secs() as i64,
            tv_nsec: i64::from(duration.subsec_nanos()),
        });
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        Ok(self
            .events
            .iter()
            .map(|event| {
                let flags = event.flags;
                let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
                let readiness = Readiness {
                    readable: gone || flags.intersects(EventFlags::IN | EventFlags::RDHUP),
                    writable: gone || flags.contains(EventFlags::OUT),
                    hang_up: gone,
                };
                (Token(event.data.u64()), readiness)
            })
            .collect())
    }

    /// What a token stands for; `None` when it was removed after the event was fetched.
    pub(crate) fn source(&self, token: Token) -> Option<S> {
        self.sources.get(&token.0).copied()
    }
}

/// The registration of one descriptor, changed only when the interest really changes.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Option<(Token, EventFlags)>,
}

impl Watch {
    /// Watches for `flags`; `None` stops watching, so that not even a hang-up is reported.
    pub(crate) fn set<S: Copy>(
        &mut self,
        poller: &mut Poller<S>,
        fd: impl AsFd,
        source: S,
        flags: Option<EventFlags>,
    ) -> Result<(), Errno> {
        match (self.state, flags) {
            (None, None) => {}
            (None, Some(flags)) => {
                self.state = Some((poller.add(fd, source, flags)?, flags));
            }
            (Some((token, _)), None) => {
                poller.remove(fd, token);
                self.state = None;
            }
            (Some((token, old)), Some(flags)) => {
                if old != flags {
                    poller.modify(fd, token, flags)?;
                    self.state = Some((token, flags));
                }
            }
        }
        Ok(())
    }

    /// Stops watching.
    pub(crate) fn clear<S: Copy>(&mut self, poller: &mut Poller<S>, fd: impl AsFd) {
        if let Some((token, _)) = self.state.take() {
            poller.remove(fd, token);
        }
    }
}
