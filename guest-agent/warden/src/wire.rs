//! Framing of [`crate::protocol`] on a Unix stream socket: a little-endian `u32` length, that many
//! bytes of JSON, and descriptors (`SCM_RIGHTS`) on the first byte. [`Encoder`] and [`Decoder`] work
//! on sockets that block and on those that don't.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;

/// The longest message that either side accepts, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// The most descriptors one message may carry.
pub const MAX_DESCRIPTORS: usize = 64;

/// What can go wrong on the socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system call failed.
    #[error("the warden's socket failed")]
    Socket(#[source] std::io::Error),
    /// The peer closed the socket inside a message.
    #[error("the warden's socket was closed in the middle of a message")]
    Truncated,
    /// The length prefix is larger than [`MAX_MESSAGE`].
    #[error("a message of {0} bytes is longer than the warden's protocol allows")]
    TooLong(usize),
    /// More descriptors than [`MAX_DESCRIPTORS`].
    #[error("a message carries {0} descriptors, more than the warden's protocol allows")]
    TooManyDescriptors(usize),
    /// The body is not the expected JSON.
    #[error("a message on the warden's socket is not understood")]
    Json(#[source] serde_json::Error),
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Socket(errno.into())
    }
}

/// The bytes of one message, length prefix included.
fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message).map_err(Error::Json)?;
    let body = bytes.len() - 4;
    let prefix = u32::try_from(body)
        .ok()
        .filter(|_| body <= MAX_MESSAGE)
        .ok_or(Error::TooLong(body))?;
    bytes[..4].copy_from_slice(&prefix.to_le_bytes());
    Ok(bytes)
}

/// One `sendmsg`; the descriptors go with its first byte.
fn send_some(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::TOOMANYREFS);
    }
    sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )
}

/// Where [`Decoder::read`] got to.
pub enum Progress {
    /// A whole message: its body and descriptors.
    Message(Vec<u8>, Vec<OwnedFd>),
    /// The socket has nothing more for now.
    Blocked,
    /// The peer closed the socket between two messages.
    End,
}

/// Reassembles messages. It never reads past the end of a message, so that descriptors always
/// belong to the message being read.
#[derive(Default)]
pub struct Decoder {
    prefix: [u8; 4],
    prefix_filled: usize,
    body: Vec<u8>,
    body_filled: usize,
    descriptors: Vec<OwnedFd>,
}

impl Decoder {
    /// Reads until a message is complete, the socket would block, or it ends.
    pub fn read(&mut self, socket: BorrowedFd<'_>) -> Result<Progress, Error> {
        loop {
            let in_prefix = self.prefix_filled < 4;
            let target = if in_prefix {
                &mut self.prefix[self.prefix_filled..]
            } else {
                &mut self.body[self.body_filled..]
            };
            let count = match recv_some(socket, target, &mut self.descriptors) {
                Ok(0) if self.prefix_filled == 0 => return Ok(Progress::End),
                Ok(0) => return Err(Error::Truncated),
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(Progress::Blocked),
                Err(errno) => return Err(errno.into()),
            };
            if in_prefix {
                self.prefix_filled += count;
                if self.prefix_filled < 4 {
                    continue;
                }
                let length = u32::from_le_bytes(self.prefix) as usize;
                if length > MAX_MESSAGE {
                    return Err(Error::TooLong(length));
                }
                self.body = vec![0; length];
            } else {
                self.body_filled += count;
            }
            if self.body_filled == self.body.len() {
                let done = std::mem::take(self);
                return Ok(Progress::Message(done.body, done.descriptors));
            }
        }
    }
}

/// One `recvmsg`; descriptors that came along are appended, close-on-exec.
fn recv_some(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            descriptors.extend(fds);
        }
    }
    Ok(received.bytes)
}

/// Messages, with their descriptors, waiting for the socket to take them.
#[derive(Debug, Default)]
pub struct Encoder {
    queue: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    sent: usize,
}

impl Encoder {
    /// Queues a message.
    pub fn push<T: Serialize>(
        &mut self,
        message: &T,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), Error> {
        self.queue.push_back((encode(message)?, descriptors));
        Ok(())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes as much as the socket takes now.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<(), Error> {
        while let Some((message, descriptors)) = self.queue.front_mut() {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match send_some(socket, &message[self.sent..], &borrowed) {
                Ok(count) => {
                    self.sent += count;
                    descriptors.clear();
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
            if self.sent == message.len() {
                self.queue.pop_front();
                self.sent = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn send(socket: &UnixStream, message: &str, descriptors: Vec<OwnedFd>) {
        let mut encoder = Encoder::default();
        encoder.push(&message, descriptors).unwrap();
        encoder.flush(socket.as_fd()).unwrap();
        assert!(encoder.is_empty());
    }

    fn receive(socket: &UnixStream) -> Result<Option<(String, Vec<OwnedFd>)>, Error> {
        match Decoder::default().read(socket.as_fd())? {
            Progress::Message(body, descriptors) => {
                let text = serde_json::from_slice(&body).map_err(Error::Json)?;
                Ok(Some((text, descriptors)))
            }
            Progress::Blocked | Progress::End => Ok(None),
        }
    }

    #[test]
    fn messages_and_descriptors_arrive_together_and_in_order() {
        let (left, right) = UnixStream::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        send(&left, "plain", Vec::new());
        send(&left, "with", vec![writer.into()]);
        send(&left, &"x".repeat(100_000), Vec::new());
        drop(left);

        let (text, fds) = receive(&right).unwrap().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("plain", 0));
        let (text, mut fds) = receive(&right).unwrap().unwrap();
        assert_eq!((text.as_str(), fds.len()), ("with", 1));
        std::fs::File::from(fds.remove(0)).write_all(b"hi").unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hi");
        let (text, _) = receive(&right).unwrap().unwrap();
        assert_eq!(text.len(), 100_000);
        assert!(receive(&right).unwrap().is_none());
    }

    #[test]
    fn what_a_full_socket_does_not_take_goes_later_and_descriptors_go_once() {
        let (left, right) = UnixStream::pair().unwrap();
        left.set_nonblocking(true).unwrap();
        let (_, writer) = std::io::pipe().unwrap();
        let mut encoder = Encoder::default();
        let long = "x".repeat(2_000_000);
        encoder.push(&long, vec![writer.into()]).unwrap();
        encoder.push(&"next", Vec::new()).unwrap();
        encoder.flush(left.as_fd()).unwrap();
        assert!(!encoder.is_empty(), "the socket took two megabytes at once");
        let reading = std::thread::spawn(move || {
            let long = receive(&right).unwrap().unwrap();
            (long, receive(&right).unwrap().unwrap())
        });
        while !encoder.is_empty() {
            encoder.flush(left.as_fd()).unwrap();
            std::thread::yield_now();
        }
        let ((first, fds), (second, none)) = reading.join().unwrap();
        assert_eq!((first, fds.len()), (long, 1));
        assert_eq!((second.as_str(), none.len()), ("next", 0));
    }

    #[test]
    fn a_cut_message_and_a_giant_one_are_errors() {
        let (mut left, right) = UnixStream::pair().unwrap();
        left.write_all(&[8, 0, 0, 0, b'"']).unwrap();
        drop(left);
        assert!(matches!(receive(&right), Err(Error::Truncated)));
        let (mut left, right) = UnixStream::pair().unwrap();
        left.write_all(&[0xff; 8]).unwrap();
        assert!(matches!(receive(&right), Err(Error::TooLong(_))));
    }
}
