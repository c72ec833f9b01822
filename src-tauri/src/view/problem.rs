//! What went wrong, as the page shows it.

use serde::Serialize;
use ts_rs::TS;

/// What happened, why, and what to do next. Every command that fails answers with one.
#[derive(Debug, Clone, Default, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// What happened.
    pub(crate) message: String,
    /// Why, if it is known.
    pub(crate) cause: Option<String>,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// Last lines of the machine's console, if they help.
    pub(crate) console: Vec<String>,
    /// HTTP status, when the engine refused.
    pub(crate) status: Option<u16>,
}

impl Problem {
    /// A problem that is only a sentence.
    pub(crate) fn say(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }
}

impl From<client::wire::Problem> for Problem {
    fn from(problem: client::wire::Problem) -> Self {
        Self {
            message: problem.message,
            cause: problem.cause,
            hint: problem.hint,
            console: problem.console,
            status: None,
        }
    }
}

impl From<client::Error> for Problem {
    fn from(error: client::Error) -> Self {
        let status = match &error {
            client::Error::Refused { status, .. } => Some(*status),
            _ => None,
        };
        Self {
            status,
            ..error.to_problem().into()
        }
    }
}

impl From<bollard::errors::Error> for Problem {
    fn from(error: bollard::errors::Error) -> Self {
        use bollard::errors::Error;
        match error {
            Error::DockerResponseServerError {
                status_code,
                message,
            } => Self {
                message,
                status: Some(status_code),
                ..Self::default()
            },
            Error::DockerStreamError { error } => Self::say(error),
            other => {
                let mut causes = Vec::new();
                let mut source = std::error::Error::source(&other);
                while let Some(error) = source {
                    causes.push(error.to_string());
                    source = error.source();
                }
                Self {
                    message: other.to_string(),
                    cause: (!causes.is_empty()).then(|| causes.join(": ")),
                    ..Self::default()
                }
            }
        }
    }
}

impl From<tauri::Error> for Problem {
    fn from(error: tauri::Error) -> Self {
        Self::say(error.to_string())
    }
}
