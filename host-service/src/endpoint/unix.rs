//! The API socket on Unix.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use client::Home;
use client::wire::Problem;
use tokio::net::{UnixListener, UnixStream};

use crate::problem::file;

/// One client's connection; `shutdown` closes the writing direction.
pub(crate) type Connection = UnixStream;

/// Listens on the home's socket; removes it when dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Replaces what an earlier slipwayd left. The caller holds the home's lock, so nobody
    /// listens there.
    pub(crate) fn bind(home: &Home) -> Result<Self, Problem> {
        let path = home.docker_sock();
        let run = home.run_dir();
        // Nobody else can connect before the socket has its own mode.
        fs::set_permissions(&run, Permissions::from_mode(0o700))
            .map_err(|error| file("protect", &run, &error))?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file("replace", &path, &error));
            }
            _ => {}
        }
        let listener =
            UnixListener::bind(&path).map_err(|error| file("listen at", &path, &error))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))
            .map_err(|error| file("protect", &path, &error))?;
        Ok(Self { listener, path })
    }

    /// The next client.
    pub(crate) async fn accept(&mut self) -> io::Result<Connection> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
