//! The connection to the engine of the moment.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::EventFlags;

use crate::poller::{Poller, Watch};
use crate::protocol::{Message, Request};
use crate::source::Source;
use crate::wire::{Decoder, Encoder, Error, Progress};

/// The socket, with what is half read and half written.
pub(crate) struct EngineLink {
    socket: OwnedFd,
    watch: Watch,
    decoder: Decoder,
    encoder: Encoder,
}

impl EngineLink {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            watch: Watch::default(),
            decoder: Decoder::default(),
            encoder: Encoder::default(),
        }
    }

    /// The next request; `None` when there is none yet. An error, or the end, means that the
    /// engine is gone.
    pub(crate) fn receive(&mut self) -> Result<Option<(Request, Vec<OwnedFd>)>, Error> {
        match self.decoder.read(self.socket.as_fd())? {
            Progress::Message(body, descriptors) => {
                let request = serde_json::from_slice(&body).map_err(Error::Json)?;
                Ok(Some((request, descriptors)))
            }
            Progress::Blocked => Ok(None),
            Progress::End => Err(Error::Truncated),
        }
    }

    /// Queues a message and sends what the socket takes.
    pub(crate) fn send(&mut self, message: &Message) -> Result<(), Error> {
        self.encoder.push(message, Vec::new())?;
        self.flush()
    }

    /// Sends what the socket takes.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.encoder.flush(self.socket.as_fd())
    }

    /// Watches for what can be done now.
    pub(crate) fn update(&mut self, poller: &mut Poller<Source>) -> Result<(), rustix::io::Errno> {
        let mut flags = EventFlags::IN;
        if !self.encoder.is_empty() {
            flags |= EventFlags::OUT;
        }
        self.watch
            .set(poller, self.socket.as_fd(), Source::Engine, Some(flags))
    }

    /// Stops watching, before it is dropped.
    pub(crate) fn close(mut self, poller: &mut Poller<Source>) {
        self.watch.clear(poller, self.socket.as_fd());
    }
}
