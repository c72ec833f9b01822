//! Errors of the engine. Each kind maps to one HTTP status; the message is what Docker prints.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thing that was named isn't there.
    #[error("{0}")]
    NotFound(String),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The request does not fit the present state.
    #[error("{0}")]
    Conflict(String),
    /// It is already so.
    #[error("not modified")]
    NotModified,
    /// The credentials were refused.
    #[error("{0}")]
    Unauthorized(String),
    /// Nobody may do this.
    #[error("{0}")]
    Forbidden(String),
    /// Slipway does not do this (yet).
    #[error("{0}")]
    NotSupported(String),
    /// Something needed is out of reach for now.
    #[error("{0}")]
    Unavailable(String),
    /// Something failed that should not.
    #[error("{0}")]
    System(String),
    /// A file operation failed.
    #[error("{action} {}: {}", path.display(), why(source))]
    File {
        /// What was tried: `reading`, `writing` …
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed; repeated in the message because clients see only that.
        source: std::io::Error,
    },
}

/// The kinds of [`Error`] that the HTTP side tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 404.
    NotFound,
    /// 400.
    Invalid,
    /// 409.
    Conflict,
    /// 304.
    NotModified,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 501.
    NotSupported,
    /// 503.
    Unavailable,
    /// 500.
    System,
}

impl Error {
    /// Which kind this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) => Kind::NotFound,
            Self::Invalid(_) => Kind::Invalid,
            Self::Conflict(_) => Kind::Conflict,
            Self::NotModified => Kind::NotModified,
            Self::Unauthorized(_) => Kind::Unauthorized,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::NotSupported(_) => Kind::NotSupported,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::System(_) | Self::File { .. } => Kind::System,
        }
    }

    /// The same kind with `prefix` in front of the message.
    #[must_use]
    pub fn prefixed(self, prefix: &str) -> Self {
        let message = format!("{prefix}{self}");
        match self.kind() {
            Kind::NotFound => Self::NotFound(message),
            Kind::Invalid => Self::Invalid(message),
            Kind::Conflict => Self::Conflict(message),
            Kind::NotModified => Self::NotModified,
            Kind::Unauthorized => Self::Unauthorized(message),
            Kind::Forbidden => Self::Forbidden(message),
            Kind::NotSupported => Self::NotSupported(message),
            Kind::Unavailable => Self::Unavailable(message),
            Kind::System => Self::System(message),
        }
    }

    pub(crate) fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn no_such_container(name: &str) -> Self {
        Self::NotFound(format!("No such container: {name}"))
    }

    pub(crate) fn not_running(id: &str) -> Self {
        Self::Conflict(format!("container {id} is not running"))
    }
}

/// Go's `strconv.ParseBool`.
///
/// # Errors
/// In Go's words.
pub fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing \"{text}\": invalid syntax"
        )),
    }
}

/// What a person can do when nothing more fits.
pub(crate) const MAKE_ROOM: &str =
    "remove images, containers or volumes that you no longer need, or enlarge the disk";

/// Why a file operation failed, and what helps against a full disk.
pub(crate) fn why(error: &std::io::Error) -> String {
    let text = go_text(error);
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("{text}: {MAKE_ROOM}"),
        _ => text,
    }
}

/// What an IO error says, as Go writes it: lower case, without the number.
pub(crate) fn go_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
