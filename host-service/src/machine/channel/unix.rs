//! Channels on Unix: sockets in the run folder, and vsock where the kernel has it.

use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::{Address, Channel};

pub(super) fn new_address(run_dir: &Path, name: &str) -> io::Result<Address> {
    let address = Address::Unix(run_dir.join(format!("{name}.sock")));
    address.remove();
    Ok(address)
}

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
