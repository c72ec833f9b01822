//! Channels on Unix: sockets in the run folder, and vsock where the kernel has it.

use std::io;

#[cfg(target_os = "linux")]
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::{Address, Channel};

/// QEMU has sockets in the file system.
pub(super) const SOCKETS: bool = true;

pub(super) async fn connect(address: &Address) -> io::Result<Box<dyn Channel>> {
    match address {
        Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        #[cfg(target_os = "linux")]
        Address::Vsock { cid, port, key } => {
            let address = tokio_vsock::VsockAddr::new(*cid, *port);
            let mut stream = tokio_vsock::VsockStream::connect(address).await?;
            stream.write_all(key.as_bytes()).await?;
            Ok(Box::new(stream))
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
