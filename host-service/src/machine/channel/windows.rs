//! Channels on Windows: ports on the loopback interface, since QEMU's sockets there are TCP.

use std::io;
use std::net::TcpListener;
use std::path::Path;

use super::{Address, Channel};

/// A port that was free a moment ago. If another program takes it first, QEMU says so and the
/// start is tried again.
pub(super) fn new_address(_run_dir: &Path, _name: &str) -> io::Result<Address> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    Ok(Address::Loopback(listener.local_addr()?.port()))
}

#[expect(clippy::unused_async, reason = "the same as on Unix")]
pub(super) async fn connect(_address: &Address) -> io::Result<Box<dyn Channel>> {
    Err(io::ErrorKind::Unsupported.into())
}
