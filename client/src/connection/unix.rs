//! Connections over a Unix socket.

use std::io;

use tokio::net::UnixStream;

use crate::{Endpoint, Home};

/// Bytes in `sockaddr_un.sun_path`.
pub(crate) const SOCKET_PATH_SIZE: usize = if cfg!(target_os = "linux") { 108 } else { 104 };

pub(super) type Raw = UnixStream;

pub(crate) fn endpoint_of(home: &Home) -> Endpoint {
    Endpoint::Unix(home.docker_sock())
}

pub(super) async fn open(endpoint: &Endpoint) -> io::Result<Raw> {
    match endpoint {
        Endpoint::Unix(path) => UnixStream::connect(path).await,
        Endpoint::Pipe(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "named pipes exist on Windows only",
        )),
    }
}
