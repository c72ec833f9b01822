//! What can go wrong with images, one variant a cause, and the kind that callers decide by.

use std::io;
use std::path::{Path, PathBuf};

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
    /// A bad or ambiguous name, a bad archive, manifest or layer, or content that is not what its digest says.
    #[error("{0}")]
    Invalid(String),
    /// The image is in use. Docker's message.
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

/// How much room is left around `path`, and what to do about it.
fn free_space(path: &Path) -> String {
    let around = path
        .ancestors()
        .find_map(|directory| rustix::fs::statvfs(directory).ok());
    match around {
        Some(fs) if fs.f_files > 0 && fs.f_favail == 0 => {
            "no inodes are free on the data disk; remove images or containers you no longer need"
                .to_owned()
        }
        Some(fs) => format!(
            "{} free on the data disk; remove images or containers you no longer need, or enlarge the disk",
            crate::progress::human_size(fs.f_bavail * fs.f_frsize)
        ),
        None => "the data disk is full".to_owned(),
    }
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
    /// Wraps what the system said about `path`; a full disk becomes [`Error::NoSpace`] with what
    /// is free there.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(format!(
                "{action} {}: {}",
                path.display(),
                free_space(&path)
            )),
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

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

    /// An [`Error::Invalid`] in these words.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// Docker's words for an image that is not here: `No such image: x:latest`.
    pub(crate) fn no_such_image(name: &str) -> Self {
        Self::NotFound(format!("No such image: {name}"))
    }
}
