//! Local channels to the machine's process: its monitor and its end of the link.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

/// Where a channel is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port on the loopback interface.
    Loopback(u16),
    /// A port of a guest reached through the host's vsock.
    Vsock {
        /// The guest's address.
        cid: u32,
        /// The port.
        port: u32,
        /// What the guest wants to see first: everybody on this computer reaches its ports.
        key: String,
    },
}

impl Address {
    /// An address for a new channel called `name`, which does not exist yet.
    pub(crate) fn new(run_dir: &Path, name: &str) -> io::Result<Self> {
        platform::new_address(run_dir, name)
    }

    /// The channel for QEMU's `-chardev socket`, listening.
    pub(crate) fn chardev(&self, id: &str) -> String {
        match self {
            Self::Unix(path) => {
                let path = escape(path);
                format!("socket,id={id},path={path},server=on,wait=off")
            }
            Self::Loopback(port) => {
                format!("socket,id={id},host=127.0.0.1,port={port},server=on,wait=off")
            }
            Self::Vsock { .. } => format!("null,id={id}"),
        }
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Channel>> {
        match self {
            Self::Loopback(port) => {
                let stream = tokio::net::TcpStream::connect(("127.0.0.1", *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            other => platform::connect(other).await,
        }
    }

    /// Removes what an ended machine left in the file system.
    pub(crate) fn remove(&self) {
        if let Self::Unix(path) = self {
            // It may be gone already, and the next machine replaces it in any case.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A path within a list of QEMU's options: commas are doubled.
pub(crate) fn escape(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Bytes both ways.
pub(crate) trait Channel: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Channel for T {}
