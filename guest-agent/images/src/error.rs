//! What can go wrong with images, one variant a cause, and the kind that callers decide by.

use std::io;
use std::path::PathBuf;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image operation failed. The text is what Docker says where Docker has words for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such image, or no such manifest or repository in the registry. Docker's message.
    #[error("{0}")]
    NotFound(String),
    /// The registry wants other credentials. Docker's message.
    #[error("{0}")]
    Unauthorized(String),
    /// A bad name, archive, manifest or layer, or content that is not what its digest says.
    #[error("{0}")]
    Invalid(String),
    /// The image is in use, or an id prefix is ambiguous. Docker's message.
    #[error("{0}")]
    Conflict(String),
    /// The disk is full.
    #[error("no space left on device: {0}")]
    NoSpace(String),
    /// The registry could not be reached, or kept failing.
    #[error("{0}")]
    Network(String),
    /// The operating system refused an operation on a file.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was being done, as in "create".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The index file cannot be read or written.
    #[error("image index: {0}")]
    Index(String),
    /// The operation's task ended early, as when the engine stops.
    #[error("the image operation was interrupted")]
    Interrupted,
}

/// The coarse kind of an [`Error`], for picking an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 404
    NotFound,
    /// 401 from the registry; Docker's API answers 404 or 500 depending on the call.
    Unauthorized,
    /// 400
    Invalid,
    /// 409
    Conflict,
    /// 500, with a full disk as the cause
    NoSpace,
    /// 500, with the network as the cause
    Network,
    /// 500
    Internal,
}

impl Error {
    /// Which kind of failure this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Unauthorized(_) => Kind::Unauthorized,
            Self::Invalid(_) => Kind::Invalid,
            Self::Conflict(_) => Kind::Conflict,
            Self::NoSpace(_) => Kind::NoSpace,
            Self::Network(_) => Kind::Network,
            Self::Io { .. } | Self::Index(_) | Self::Interrupted => Kind::Internal,
        }
    }

    /// Docker's words for an image that is not here: `No such image: x:latest`.
    pub(crate) fn no_such_image(name: &str) -> Self {
        Self::NotFound(format!("No such image: {name}"))
    }
}
