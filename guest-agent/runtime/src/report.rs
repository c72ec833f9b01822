//! What the child tells its parent while it sets itself up: one packet a message on a
//! `SOCK_SEQPACKET` pair that closes by itself when the container's program is executed.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::error::{Error, Failure, Kind};

/// A failure's message is cut to fit one packet.
const PACKET: usize = 16 * 1024;

/// One message from the child.
#[derive(Debug)]
pub enum Report {
    /// The master side of the container's terminal.
    Terminal(OwnedFd),
    /// A step failed; the child is about to exit.
    Failed(Failure),
    /// The program was executed (or the child died, which its pidfd tells).
    Running,
}

/// A connected pair: the parent's end does not block, the child's does.
pub(crate) fn channel() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (parent, child) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::io::ioctl_fionbio(&parent, true)?;
    Ok((parent, child))
}

/// Reads the next report; `None` when there is none yet.
pub fn receive(channel: impl AsFd) -> Result<Option<Report>, Errno> {
    let mut packet = vec![0; PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = match recvmsg(
        channel,
        &mut [IoSliceMut::new(&mut packet)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    ) {
        Ok(received) => received.bytes,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
        // The child closed its end by exiting with something of ours unread.
        Err(Errno::CONNRESET) => 0,
        Err(errno) => return Err(errno),
    };
    let terminal = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok(Some(match (received, terminal) {
        (0, _) => Report::Running,
        (_, Some(master)) => Report::Terminal(master),
        (count, None) => Report::Failed(parse(&packet[..count])),
    }))
}

fn parse(packet: &[u8]) -> Failure {
    serde_json::from_slice(packet).unwrap_or_else(|_| Failure {
        kind: Kind::System,
        message: String::from_utf8_lossy(packet).into_owned(),
    })
}

/// Sends the terminal's master side, from the child.
pub(crate) fn send_terminal(channel: BorrowedFd<'_>, master: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [master];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(
        channel,
        &[IoSlice::new(b"terminal")],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .map(drop)
}

/// Sends the failure, from the child. There is nobody left to tell when that fails.
pub(crate) fn send_failure(channel: BorrowedFd<'_>, error: &Error) {
    let mut failure = Failure::from(error);
    let mut end = failure.message.len().min(PACKET / 8);
    while !failure.message.is_char_boundary(end) {
        end -= 1;
    }
    failure.message.truncate(end);
    if let Ok(packet) = serde_json::to_vec(&failure) {
        let mut control = SendAncillaryBuffer::default();
        let _ = sendmsg(
            channel,
            &[IoSlice::new(&packet)],
            &mut control,
            SendFlags::NOSIGNAL,
        );
    }
}
