//! Making [`Problem`]s: what happened, why, and what to do next.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::path::Path;

use client::wire::Problem;

/// A problem with only a message.
pub(crate) fn problem(message: impl Into<String>) -> Problem {
    Problem {
        message: message.into(),
        cause: None,
        hint: None,
        console: Vec::new(),
    }
}

/// An IO problem with its path.
pub(crate) fn file(action: &str, path: &Path, error: &io::Error) -> Problem {
    problem(format!("cannot {action} {}", path.display())).because(error)
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Adds to a problem.
pub(crate) trait Explain {
    /// Adds the cause.
    fn because(self, cause: impl Display) -> Self;
    /// Adds what to do next.
    fn hint(self, hint: impl Into<String>) -> Self;
}

impl Explain for Problem {
    fn because(mut self, cause: impl Display) -> Self {
        let cause = cause.to_string();
        let cause = cause.trim();
        if !cause.is_empty() {
            self.cause = Some(cause.to_owned());
        }
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
