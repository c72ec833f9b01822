//! What can go wrong on the link.

use std::io;

/// A step on the link that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The byte stream ended before the session began.
    #[error("the link ended during its handshake")]
    Ended,
    /// Reading or writing the byte stream failed during the handshake.
    #[error("the link broke during its handshake")]
    Handshake(#[source] io::Error),
    /// The other end speaks another version of the link.
    #[error("the other end speaks version {theirs} of the link, this end {ours}")]
    Version {
        /// The other end's.
        theirs: u8,
        /// This end's.
        ours: u8,
    },
    /// The system gave no random bytes for the session's name.
    #[error("the system has no random bytes")]
    Random,
    /// The session is over.
    #[error("the link is closed")]
    Closed,
    /// The stream broke.
    #[error("the stream broke")]
    Stream(#[source] io::Error),
    /// A control message was not understood.
    #[error("a control message is not understood")]
    Message(#[source] serde_json::Error),
    /// A control message was longer than the limit.
    #[error("a control message is longer than {limit} bytes")]
    MessageTooLong {
        /// Longest allowed message in bytes.
        limit: usize,
    },
}
