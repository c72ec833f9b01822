//! Local channels to the machine's process: its monitor and its end of the link.

mod loopback;
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

pub(crate) use loopback::credentials;

/// Where a channel is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port on the loopback interface, and the folder with the keys for it.
    Loopback {
        /// The port.
        port: u16,
        /// The folder.
        keys: PathBuf,
    },
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

/// The value of `SLIPWAY_LINK` for channels over the loopback interface.
pub(crate) const LOOPBACK: &str = "loopback";

/// QEMU's name for the keys of its channels.
const KEYS: &str = "keys";

/// Where the channels of a new machine are made.
#[derive(Debug)]
pub(crate) struct Place {
    run_dir: PathBuf,
    prefix: &'static str,
    keys: Option<PathBuf>,
}

impl Place {
    /// A place for channels whose names begin with `prefix`. They are sockets; where QEMU has none, or
    /// with `SLIPWAY_LINK=loopback`, ports of the loopback interface.
    pub(crate) fn new(run_dir: &Path, prefix: &'static str) -> io::Result<Self> {
        let wanted = std::env::var("SLIPWAY_LINK").unwrap_or_default();
        let keys = (!platform::SOCKETS || wanted == LOOPBACK)
            .then(|| run_dir.join(format!("{prefix}{KEYS}")));
        if let Some(keys) = &keys {
            loopback::make_keys(keys)?;
        }
        Ok(Self {
            run_dir: run_dir.to_owned(),
            prefix,
            keys,
        })
    }

    /// An address for a new channel called `name`, which does not exist yet.
    pub(crate) fn address(&self, name: &str) -> io::Result<Address> {
        if let Some(keys) = &self.keys {
            return Ok(Address::Loopback {
                port: loopback::free_port()?,
                keys: keys.clone(),
            });
        }
        let socket = format!("{}{name}.sock", self.prefix);
        let address = Address::Unix(self.run_dir.join(socket));
        address.remove();
        Ok(address)
    }
}

impl Address {
    /// The channel for QEMU's `-chardev socket`, listening.
    pub(crate) fn chardev(&self, id: &str) -> String {
        match self {
            Self::Unix(path) => {
                let path = escape(path);
                format!("socket,id={id},path={path},server=on,wait=off")
            }
            Self::Loopback { port, .. } => format!(
                "socket,id={id},host=127.0.0.1,port={port},server=on,wait=off,tls-creds={KEYS}"
            ),
            Self::Vsock { .. } => format!("null,id={id}"),
        }
    }

    /// The folder with the keys, which QEMU must be told of before, as [`credentials`].
    pub(crate) fn keys(&self) -> Option<&Path> {
        match self {
            Self::Loopback { keys, .. } => Some(keys),
            Self::Unix(_) | Self::Vsock { .. } => None,
        }
    }

    /// Whether nobody takes a connection until the guest is up.
    pub(crate) fn is_the_guests(&self) -> bool {
        matches!(self, Self::Vsock { .. })
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Channel>> {
        match self {
            Self::Loopback { port, keys } => loopback::connect(*port, keys).await,
            other => platform::connect(other).await,
        }
    }

    /// Removes what an ended machine left in the file system.
    pub(crate) fn remove(&self) {
        match self {
            // It may be gone already, and the next machine replaces it in any case.
            Self::Unix(path) => drop(std::fs::remove_file(path)),
            Self::Loopback { keys, .. } => loopback::remove_keys(keys),
            Self::Vsock { .. } => {}
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
