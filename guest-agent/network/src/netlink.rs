//! A route netlink socket: batches of changes in one system call, and dumps.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::Error;

/// One change and how to speak about it.
pub(crate) struct Change {
    /// Completes "the kernel refused to …".
    pub(crate) step: String,
    /// The change.
    pub(crate) message: RouteNetlinkMessage,
    /// `NLM_F_CREATE`, `NLM_F_EXCL`, …
    pub(crate) flags: u16,
    /// An error number that means the change is not needed.
    pub(crate) fine: Option<i32>,
}

/// A socket. It belongs for ever to the network namespace of the thread that opened it.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
    /// Where answers arrive.
    buffer: Vec<u8>,
}

/// Large enough for any datagram of a dump: the kernel sends at most 32 KiB at once.
const RECEIVE_BUFFER: usize = 32 * 1024;

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, Error> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(Error::Netlink)?;
        socket.bind_auto().map_err(Error::Netlink)?;
        socket
            .connect(&SocketAddr::new(0, 0))
            .map_err(Error::Netlink)?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(RECEIVE_BUFFER),
        })
    }

    /// Sends all changes at once; the kernel applies them in order. It does not stop at a refused
    /// one, so the first refusal is returned once all have been answered.
    pub(crate) fn apply(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        let mut expected = Vec::with_capacity(changes.len());
        for change in changes {
            let flags = change.flags | NLM_F_REQUEST | NLM_F_ACK;
            self.serialise(change.message, flags, &mut bytes);
            expected.push((change.step, change.fine));
        }
        self.send(&bytes)?;

        let mut refused = None;
        let mut open = expected.len();
        while open > 0 {
            for message in self.receive()? {
                let index = message.header.sequence_number.wrapping_sub(first) as usize;
                let Some((step, fine)) = expected.get(index) else {
                    continue;
                };
                let NetlinkPayload::Error(answer) = message.payload else {
                    continue;
                };
                open -= 1;
                let code = answer.raw_code().saturating_neg();
                if code != 0 && Some(code) != *fine && refused.is_none() {
                    refused = Some(Error::Refused {
                        step: step.clone(),
                        source: io::Error::from_raw_os_error(code),
                    });
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Asks for a list. A link that vanishes meanwhile only makes the list shorter.
    pub(crate) fn dump(
        &mut self,
        request: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        let mut bytes = Vec::new();
        self.serialise(request, NLM_F_REQUEST | NLM_F_DUMP, &mut bytes);
        self.send(&bytes)?;
        let mut found = Vec::new();
        loop {
            for message in self.receive()? {
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => found.push(inner),
                    NetlinkPayload::Done(_) => return Ok(found),
                    NetlinkPayload::Error(answer) => return Err(Error::Netlink(answer.to_io())),
                    _ => {}
                }
            }
        }
    }

    fn serialise(&mut self, message: RouteNetlinkMessage, flags: u16, bytes: &mut Vec<u8>) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let start = bytes.len();
        // Messages in one datagram start on a boundary of four bytes.
        bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
        if let Some(room) = bytes.get_mut(start..start + message.buffer_len()) {
            message.serialize(room);
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.send(bytes, 0).map_err(Error::Netlink)?;
        Ok(())
    }

    fn receive(&mut self) -> Result<Vec<NetlinkMessage<RouteNetlinkMessage>>, Error> {
        self.buffer.clear();
        loop {
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Netlink(error)),
            }
        }
        let mut messages = Vec::new();
        let mut rest = self.buffer.as_slice();
        while let Some(length) = rest.first_chunk().map(|b| u32::from_ne_bytes(*b) as usize) {
            let Some(bytes) = rest.get(..length).filter(|bytes| bytes.len() >= 16) else {
                break;
            };
            // A message that the library can't read (a new kind of link, say) isn't one of ours.
            match NetlinkMessage::deserialize(bytes) {
                Ok(message) => messages.push(message),
                Err(error) => tracing::debug!(%error, "unreadable netlink message"),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}
