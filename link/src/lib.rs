//! The wire between host and guest: many back-pressured streams with half-close over one byte
//! stream (a virtio port, a vsock connection, a Unix socket).
//!
//! The host calls [`host`] and the guest [`guest`] on their ends; both get an [`Opener`] and an
//! [`Incoming`]. Each stream carries its [`Service`]'s name first. A session ends when the byte
//! stream ends or the other end dies; then both are called again on the next byte stream, which
//! may be the same port: the handshake finds the place where the new session begins.

pub mod control;
pub mod copy;
pub mod datagrams;
mod error;
mod greeting;
mod handshake;
pub mod head_first;
pub mod ports;
mod session;
mod signals;
mod stream;
mod tail;

pub use error::Error;
pub use greeting::hail;
pub use session::{Incoming, KeepAlive, Opener, guest, host, host_on_new, host_with};
pub use stream::{Piece, Pieces, Stream};

/// What a stream is for: the first line on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The bytes of one client connection to the Engine API.
    Api,
    /// JSON lines between slipwayd and the agent; see [`control`].
    Control,
    /// One connection to a port in the guest; see [`ports`].
    Port,
    /// Questions for the host's own resolver and its answers: DNS messages as [`datagrams`]. The host
    /// opens it, the guest asks; an answer has its question's id.
    Resolve,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Control => "control",
            Self::Port => "port",
            Self::Resolve => "resolve",
        }
    }

    fn parse(name: &[u8]) -> Option<Self> {
        [Self::Api, Self::Control, Self::Port, Self::Resolve]
            .into_iter()
            .find(|service| service.name().as_bytes() == name)
    }
}
