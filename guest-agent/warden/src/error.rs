//! What stops the warden itself. A container that can't start is no such thing: that is a
//! [`crate::protocol::Failure`].

use std::path::PathBuf;

/// Why the warden can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// epoll, signalfd and their kind.
    #[error("cannot {step}")]
    Kernel {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: rustix::io::Errno,
    },
    /// A step on a file.
    #[error("cannot {step} {}", path.display())]
    File {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The machine's disks or settings are not usable.
    #[error("{0}")]
    Machine(String),
    /// The command line.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// The error and its causes in one line.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// Names the step that a system call belongs to.
pub(crate) trait Context<T> {
    /// A step without a path.
    fn step(self, step: &'static str) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, rustix::io::Errno> {
    fn step(self, step: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Kernel { step, source })
    }
}

/// Names the step and the path that an IO error belongs to.
pub(crate) trait PathContext<T> {
    /// A step on a path.
    fn at(self, step: &'static str, path: impl Into<PathBuf>) -> Result<T, Error>;
}

impl<T, E: Into<std::io::Error>> PathContext<T> for Result<T, E> {
    fn at(self, step: &'static str, path: impl Into<PathBuf>) -> Result<T, Error> {
        self.map_err(|source| Error::File {
            step,
            path: path.into(),
            source: source.into(),
        })
    }
}
