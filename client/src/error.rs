//! What can go wrong on the way to slipwayd, with a hint for the person.

use std::io;
use std::path::PathBuf;

use crate::wire::Problem;

/// A step on the way to slipwayd that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The account has no home folder and `SLIPWAY_HOME` is not set.
    #[error("there is no folder for Slipway's data")]
    NoHome,
    /// The API socket's path does not fit into a socket address.
    #[error("the socket path {path} is {length} bytes long, this system allows {limit}", path = path.display())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
        /// How many bytes the system allows.
        limit: usize,
    },
    /// Nobody answers at the API socket or pipe.
    #[error("cannot connect to slipwayd at {endpoint}")]
    Connect {
        /// Where.
        endpoint: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke, or what came was not HTTP.
    #[error("the conversation with slipwayd broke off")]
    Conversation(#[source] hyper::Error),
    /// The request could not be formed.
    #[error("the request is not valid HTTP")]
    Request(#[source] ::http::Error),
    /// The connection ended in the middle of an answer.
    #[error("slipwayd ended the answer before its last line")]
    CutShort,
    /// slipwayd sent something that this version does not understand.
    #[error("slipwayd's answer is not understood")]
    Answer(#[source] serde_json::Error),
    /// slipwayd refused the request.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The machine's start, stop or restart failed.
    #[error("{}", .0.message)]
    Machine(Problem),
    /// The program `slipwayd` was not found.
    #[error("the program slipwayd was not found (looked at {looked})")]
    ServiceNotFound {
        /// Where it was looked for.
        looked: String,
    },
    /// The program `slipwayd` could not be started.
    #[error("cannot start {program}", program = program.display())]
    ServiceStart {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// slipwayd was started and ended, or did not answer in time.
    #[error("slipwayd did not come up")]
    ServiceDown {
        /// What it said last.
        said: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}", path = path.display())]
    File {
        /// What was tried: "create", "read".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What the person can do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoHome => "set SLIPWAY_HOME to a folder of yours".into(),
            Self::SocketPathTooLong { .. } => {
                "set SLIPWAY_HOME to a folder with a shorter path, for example ~/.slipway".into()
            }
            Self::Connect { .. } => "start it with `slipway machine start`".into(),
            Self::ServiceNotFound { .. } => {
                "set SLIPWAY_SLIPWAYD to its path, or put it beside the `slipway` command".into()
            }
            Self::ServiceDown { .. } => {
                "see slipwayd.log in the logs folder of SLIPWAY_HOME, or run `slipwayd` in a terminal"
                    .into()
            }
            Self::Machine(problem) => return problem.hint.clone(),
            _ => return None,
        })
    }

    /// The same as a [`Problem`]: message, cause, hint.
    #[must_use]
    pub fn to_problem(&self) -> Problem {
        if let Self::Machine(problem) = self {
            return problem.clone();
        }
        let mut causes = Vec::new();
        if let Self::ServiceDown { said } = self
            && !said.is_empty()
        {
            causes.push(said.clone());
        }
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            causes.push(error.to_string());
            source = error.source();
        }
        Problem {
            message: self.to_string(),
            cause: (!causes.is_empty()).then(|| causes.join(": ")),
            hint: self.hint(),
            console: Vec::new(),
        }
    }
}
