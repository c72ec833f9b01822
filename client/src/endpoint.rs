//! Where slipwayd listens.

use std::fmt;
use std::path::PathBuf;

use crate::{Error, Home};

/// A socket or pipe that speaks the Engine API and slipwayd's own paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A Windows named pipe, such as `\\.\pipe\slipway`.
    Pipe(String),
}

impl Endpoint {
    /// The endpoint of a home on this system.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        crate::connection::endpoint_of(home)
    }

    /// Says why clients could never connect here, if so.
    ///
    /// # Errors
    /// [`Error::SocketPathTooLong`] when the path does not fit into a socket address.
    pub fn check(&self) -> Result<(), Error> {
        if let Self::Unix(path) = self {
            let length = path.as_os_str().len();
            // The address holds the path and a terminating zero.
            let limit = crate::connection::SOCKET_PATH_SIZE - 1;
            if length > limit {
                return Err(Error::SocketPathTooLong {
                    path: path.clone(),
                    length,
                    limit,
                });
            }
        }
        Ok(())
    }
}

/// As `DOCKER_HOST` wants it: `unix:///…` or `npipe:////./pipe/…`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Pipe(name) => write!(f, "npipe://{}", name.replace('\\', "/")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_fit_for_docker_host() {
        assert_eq!(
            Endpoint::Unix("/home/me/run/docker.sock".into()).to_string(),
            "unix:///home/me/run/docker.sock"
        );
        assert_eq!(
            Endpoint::Pipe(r"\\.\pipe\slipway".into()).to_string(),
            "npipe:////./pipe/slipway"
        );
    }

    #[test]
    fn a_long_path_is_refused() {
        let long = Endpoint::Unix(PathBuf::from(format!("/{}", "x".repeat(120))));
        assert!(matches!(
            long.check(),
            Err(Error::SocketPathTooLong { length: 121, .. })
        ));
        assert!(Endpoint::Unix("/run/docker.sock".into()).check().is_ok());
    }
}
