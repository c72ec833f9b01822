//! One attached client: a socket that takes a process's output, framed as Docker does, and gives
//! its input.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use crate::log::Stream;
use crate::poller::{Poller, Watch};
use crate::protocol::AttachStreams;
use crate::source::Source;

/// A client that has this much waiting stops the process's output from being read.
const HIGH_WATER: usize = 256 * 1024;

/// What a client sent.
pub(crate) enum Received {
    /// Bytes for standard input.
    Input(Vec<u8>),
    /// End of its input.
    End,
    /// Nothing now.
    Nothing,
    /// It is gone.
    Gone,
}

/// One attached client.
pub(crate) struct Client {
    socket: OwnedFd,
    watch: Watch,
    source: Source,
    streams: AttachStreams,
    waiting: VecDeque<u8>,
    input_ended: bool,
    /// Shut down the output once everything waiting is sent.
    finishing: bool,
    finished: bool,
}

impl Client {
    pub(crate) fn new(
        socket: OwnedFd,
        source: Source,
        streams: AttachStreams,
    ) -> Result<Self, Errno> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket,
            watch: Watch::default(),
            source,
            streams,
            waiting: VecDeque::new(),
            input_ended: false,
            finishing: false,
            finished: false,
        })
    }

    /// Whether its input goes to the process.
    pub(crate) fn feeds_input(&self) -> bool {
        self.streams.stdin
    }

    /// Whether it must read before the process may write more.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= HIGH_WATER
    }

    /// Whether it has everything, the end included.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Takes output of the process. An error means that the client is gone.
    pub(crate) fn output(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Errno> {
        let wanted = match stream {
            Stream::Stdout => self.streams.stdout,
            Stream::Stderr => self.streams.stderr,
        };
        if !wanted || self.finishing {
            return Ok(());
        }
        if !self.streams.raw {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
            self.waiting.extend([stream.number(), 0, 0, 0]);
            self.waiting.extend(length);
        }
        self.waiting.extend(bytes);
        self.flush()
    }

    /// No more output will come.
    pub(crate) fn finish(&mut self) -> Result<(), Errno> {
        self.finishing = true;
        self.flush()
    }

    /// Sends what the socket takes.
    pub(crate) fn flush(&mut self) -> Result<(), Errno> {
        while !self.waiting.is_empty() {
            let (head, _) = self.waiting.as_slices();
            match send(&self.socket, head, SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        if self.finishing && !self.finished {
            self.finished = true;
            // Closing now, with input unread, would reset the connection under the reader.
            shutdown(&self.socket, Shutdown::Write)?;
        }
        Ok(())
    }

    /// Reads once from the client.
    pub(crate) fn receive(&mut self) -> Received {
        if self.input_ended {
            return Received::Nothing;
        }
        let mut bytes = vec![0; 32 * 1024];
        match rustix::io::read(&self.socket, &mut bytes) {
            Ok(0) => {
                self.input_ended = true;
                Received::End
            }
            Ok(count) if self.streams.stdin && !self.finishing => {
                bytes.truncate(count);
                Received::Input(bytes)
            }
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Received::Nothing,
            Err(_) => Received::Gone,
        }
    }

    /// Whether the client has ended its input.
    pub(crate) fn input_ended(&self) -> bool {
        self.input_ended
    }

    /// Watches for what can be done now. `input_full`: standard input takes nothing more at the
    /// moment.
    pub(crate) fn update(
        &mut self,
        poller: &mut Poller<Source>,
        input_full: bool,
    ) -> Result<(), Errno> {
        let blocked = self.streams.stdin && input_full && !self.finishing;
        let mut flags = EventFlags::empty();
        if !self.input_ended && !blocked {
            flags |= EventFlags::IN;
        }
        if !self.waiting.is_empty() {
            flags |= EventFlags::OUT;
        }
        // A blocked client that hung up would report that again and again: its input is read
        // first, when there is room.
        let flags = if blocked && !self.input_ended && flags.is_empty() {
            None
        } else {
            Some(flags)
        };
        self.watch
            .set(poller, self.socket.as_fd(), self.source, flags)
    }

    /// Stops watching, before the client is dropped.
    pub(crate) fn close(mut self, poller: &mut Poller<Source>) {
        self.watch.clear(poller, self.socket.as_fd());
    }
}
