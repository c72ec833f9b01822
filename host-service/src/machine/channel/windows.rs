//! Channels on Windows are ports on the loopback interface.

use std::io;

use super::{Address, Channel};

/// Windows has sockets in the file system and QEMU knows them, but Wine does not: the other way could
/// not be tried.
pub(super) const SOCKETS: bool = false;

#[expect(clippy::unused_async, reason = "the same as on Unix")]
pub(super) async fn connect(_address: &Address) -> io::Result<Box<dyn Channel>> {
    Err(io::ErrorKind::Unsupported.into())
}
