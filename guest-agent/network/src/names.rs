//! Where questions for names arrive: sockets of ours in each container's network namespace, which
//! 127.0.0.11:53 leads to, and at one address of the machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::Error;

/// A container's own resolver.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The machine's, which its init gives to the loopback interface.
pub(crate) const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 53);

/// The sockets, which don't block.
#[derive(Debug)]
pub struct NameSockets {
    /// For questions.
    pub udp: UdpSocket,
    /// For those with long answers.
    pub tcp: TcpListener,
}

impl NameSockets {
    /// Makes them in the calling thread's network namespace: on these ports, or on any.
    pub(crate) fn bind(ports: Option<(u16, u16)>) -> Result<Self, Error> {
        Self::bind_at(ADDRESS, ports.unwrap_or_default())
    }

    /// Makes those of the virtual machine, once it has the address. Before it has any at all, the
    /// kernel would take every address, and answer from another one later.
    ///
    /// # Errors
    /// When somebody else listens there.
    pub fn of_machine() -> Result<Option<Self>, Error> {
        let table = "/proc/net/fib_trie";
        let known = fs::read_to_string(table).map_err(Error::file("read", table))?;
        let own = format!("|-- {MACHINE}\n");
        match known.contains(&own) {
            true => Self::bind_at(MACHINE, (53, 53)).map(Some),
            false => Ok(None),
        }
    }

    fn bind_at(address: Ipv4Addr, (udp, tcp): (u16, u16)) -> Result<Self, Error> {
        let failed = Error::file("listen on", address.to_string());
        let bound = || -> io::Result<Self> {
            let udp = UdpSocket::bind(SocketAddr::from((address, udp)))?;
            let tcp = TcpListener::bind(SocketAddr::from((address, tcp)))?;
            udp.set_nonblocking(true)?;
            tcp.set_nonblocking(true)?;
            Ok(Self { udp, tcp })
        };
        bound().map_err(failed)
    }

    /// Their ports.
    pub(crate) fn ports(&self) -> Result<(u16, u16), Error> {
        let ports = || Ok((self.udp.local_addr()?.port(), self.tcp.local_addr()?.port()));
        ports().map_err(|error: io::Error| Error::file("ask", ADDRESS.to_string())(error))
    }
}

/// The ports of all containers, a small file each, so that an engine that starts again listens
/// where their questions go.
#[derive(Debug)]
pub(crate) struct Places {
    directory: PathBuf,
    known: Mutex<BTreeMap<String, (u16, u16)>>,
}

impl Places {
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
        let mut known = BTreeMap::new();
        let entries = fs::read_dir(&directory).map_err(Error::file("read", &directory))?;
        for entry in entries {
            let path = entry.map_err(Error::file("read", &directory))?.path();
            let ports = fs::read(&path)
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok());
            let id = path.file_name().and_then(|name| name.to_str());
            if let (Some(ports), Some(id)) = (ports, id) {
                known.insert(id.to_owned(), ports);
            }
        }
        Ok(Self {
            directory,
            known: Mutex::new(known),
        })
    }

    pub(crate) fn of(&self, container: &str) -> Option<(u16, u16)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(container).copied()
    }

    pub(crate) fn remember(&self, container: &str, ports: (u16, u16)) -> Result<(), Error> {
        let path = self.directory.join(container);
        let text = format!("[{}, {}]", ports.0, ports.1);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(container.to_owned(), ports);
        Ok(())
    }

    pub(crate) fn forget(&self, container: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.remove(container).is_some() {
            // One that stays is read by nobody: its container is gone.
            let _ = fs::remove_file(self.directory.join(container));
        }
    }
}
