//! Why a process could not be started, with the wording that Docker's users know from runc.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// What kind of failure, for the exit code and the HTTP status that follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The program is not there.
    CommandNotFound,
    /// The program may not be run.
    CommandNotExecutable,
    /// The user or group is not in the image.
    UnknownUser,
    /// The specification can't be met as it is written.
    InvalidSpec,
    /// The kernel refused a step.
    System,
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A bare name that is in no directory of `PATH`.
    #[error("exec: {0:?}: executable file not found in $PATH")]
    NotOnPath(String),
    /// A path that does not exist.
    #[error("exec: {0:?}: stat {0}: no such file or directory")]
    NoSuchProgram(String),
    /// A path that leads to a directory.
    #[error("exec: {0:?}: is a directory: permission denied")]
    ProgramIsDirectory(String),
    /// A path that leads to something that may not be run.
    #[error("exec: {0:?}: permission denied")]
    ProgramNotExecutable(String),
    /// A name that the image's `/etc/passwd` does not have.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    UnknownUser(String),
    /// A name that the image's `/etc/group` does not have.
    #[error("unable to find group {0}: no matching entries in group file")]
    UnknownGroup(String),
    /// Something in the specification that can't be met.
    #[error("{0}")]
    Invalid(String),
    /// A variable without a name.
    #[error("invalid environment variable: name cannot be empty")]
    NamelessVariable,
    /// The working directory of an exec session is not there, or not a directory.
    #[error("chdir to cwd ({cwd:?}) set in config.json failed")]
    WorkingDirectory {
        /// As asked for.
        cwd: String,
        /// Why not.
        #[source]
        source: Errno,
    },
    /// A resource limit that the kernel refuses.
    #[error("error setting rlimits for ready process: error setting rlimit type {number}")]
    Limit {
        /// Which, as in setrlimit(2).
        number: u32,
        /// Why not.
        #[source]
        source: Errno,
    },
    /// A step on a path.
    #[error("cannot {step} {}", path.display())]
    Path {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Errno,
    },
    /// A step without a path.
    #[error("cannot {step}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: Errno,
    },
}

impl Error {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotOnPath(_) | Self::NoSuchProgram(_) => Kind::CommandNotFound,
            Self::ProgramIsDirectory(_) | Self::ProgramNotExecutable(_) => {
                Kind::CommandNotExecutable
            }
            Self::UnknownUser(_) | Self::UnknownGroup(_) => Kind::UnknownUser,
            Self::Invalid(_) => Kind::InvalidSpec,
            Self::NamelessVariable
            | Self::WorkingDirectory { .. }
            | Self::Limit { .. }
            | Self::Path { .. }
            | Self::Step { .. } => Kind::System,
        }
    }
}

/// An [`Error`] as plain data, to cross from the child to its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind.
    pub kind: Kind,
    /// The error and its causes in one line.
    pub message: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            // The errno's own text without Rust's "(os error 2)".
            let text = error
                .downcast_ref::<Errno>()
                .map_or_else(|| error.to_string(), |errno| errno_text(*errno));
            message.push_str(": ");
            message.push_str(&text);
            cause = error.source();
        }
        Self {
            kind: error.kind(),
            message,
        }
    }
}

/// What an errno means in words, in lower case as in Go's messages: `no such file or directory`.
pub fn errno_text(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

/// Names the step that a system call belongs to.
pub(crate) trait Context<T> {
    /// A step without a path.
    fn step(self, step: &'static str) -> Result<T, Error>;
    /// A step on a path.
    fn at(self, step: &'static str, path: impl AsRef<Path>) -> Result<T, Error>;
}

impl<T> Context<T> for Result<T, Errno> {
    fn step(self, step: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Step { step, source })
    }

    fn at(self, step: &'static str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|source| Error::Path {
            step,
            path: path.as_ref().to_owned(),
            source,
        })
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn step(self, step: &'static str) -> Result<T, Error> {
        self.map_err(|error| errno_of(&error)).step(step)
    }

    fn at(self, step: &'static str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|error| errno_of(&error)).at(step, path)
    }
}

/// The errno inside an IO error; errors without one come only from malformed data.
fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_like_runc() {
        let failure = Failure::from(&Error::NotOnPath("foo".into()));
        assert_eq!(
            failure.message,
            r#"exec: "foo": executable file not found in $PATH"#
        );
        assert_eq!(failure.kind, Kind::CommandNotFound);
        let failure = Failure::from(&Error::Path {
            step: "open",
            path: "/x".into(),
            source: Errno::NOENT,
        });
        assert_eq!(failure.message, "cannot open /x: no such file or directory");
    }
}
