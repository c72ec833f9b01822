//! What a command that failed tells the person, and its exit code.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use client::wire::Problem;

use crate::engine;

/// Exit code of a command that could not do its work.
pub(crate) const FAILED: u8 = 1;
/// Exit code of a command that was not understood.
pub(crate) const USAGE: u8 = 2;
/// `run`: the container could not be made or started.
pub(crate) const NOT_RUN: u8 = 125;
/// `run`: the command cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run`: the command was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// Why a command ends with a code other than 0.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The process's exit code.
    pub(crate) code: u8,
    /// What is said on standard error; nothing when a container's own code is passed on.
    reports: Vec<Report>,
}

/// One thing that went wrong: what happened, why, what to do next.
#[derive(Debug, Default)]
struct Report {
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    console: Vec<String>,
}

impl Failure {
    /// A failure with code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            code: FAILED,
            reports: vec![Report {
                message: message.into(),
                ..Report::default()
            }],
        }
    }

    /// What the engine said went wrong, while it told of something else.
    pub(crate) fn of_engine(message: &str) -> Self {
        Self::new(message).maybe_hint(engine::hint_for(message))
    }

    /// A failure with code 2: the command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message).with_code(USAGE)
    }

    /// Ends with a container's own exit code and says nothing.
    pub(crate) fn silent(code: u8) -> Self {
        Self {
            code,
            reports: Vec::new(),
        }
    }

    /// A file could not be read or written.
    pub(crate) fn file(action: &str, path: &Path, source: &io::Error) -> Self {
        Self::new(format!("cannot {action} {}", path.display())).because(source.to_string())
    }

    /// The same with another exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Adds a cause to the last report.
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        if let Some(report) = self.reports.last_mut() {
            report.causes.push(cause.into());
        }
        self
    }

    /// Sets the last report's hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(report) = self.reports.last_mut() {
            report.hint = Some(hint.into());
        }
        self
    }

    fn maybe_hint(self, hint: Option<&str>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Several failures in one: all that they say, with the first one's code.
    pub(crate) fn all(failures: Vec<Self>) -> Result<(), Self> {
        let mut failures = failures.into_iter();
        let Some(mut first) = failures.next() else {
            return Ok(());
        };
        for failure in failures {
            first.reports.extend(failure.reports);
        }
        Err(first)
    }

    /// The messages, without causes and hints.
    pub(crate) fn message(&self) -> String {
        let messages: Vec<&str> = self.reports.iter().map(|r| r.message.as_str()).collect();
        messages.join("\n")
    }

    /// All of it as it appears on standard error, each line ended; empty when there is nothing
    /// to say.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for report in &self.reports {
            let _ = writeln!(text, "error: {}", report.message.trim_end());
            for cause in &report.causes {
                let _ = writeln!(text, "  caused by: {}", cause.trim_end());
            }
            if !report.console.is_empty() {
                let _ = writeln!(text, "  the machine's console said last:");
                for line in &report.console {
                    let _ = writeln!(text, "    {line}");
                }
            }
            if let Some(hint) = &report.hint {
                let _ = writeln!(text, "  hint: {hint}");
            }
        }
        text
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            code: FAILED,
            reports: vec![Report {
                message: problem.message,
                causes: problem.cause.into_iter().collect(),
                hint: problem.hint,
                console: problem.console,
            }],
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        error.to_problem().into()
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        let error = match error {
            engine::Error::Connect(error) => return error.into(),
            error => error,
        };
        let mut failure = Self::new(error.to_string());
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            failure = failure.because(cause.to_string());
            source = cause.source();
        }
        failure.maybe_hint(error.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_why_and_what_next() {
        let failure = Failure::new("it broke")
            .because("the wheel fell off")
            .hint("put it back");
        assert_eq!(
            failure.render(),
            "error: it broke\n  caused by: the wheel fell off\n  hint: put it back\n"
        );
    }

    #[test]
    fn several_failures_keep_the_first_code() {
        assert!(Failure::all(Vec::new()).is_ok());
        let all = Failure::all(vec![
            Failure::new("a").with_code(3),
            Failure::new("b").hint("h"),
        ])
        .map_err(|failure| (failure.code, failure.render()));
        assert_eq!(all, Err((3, "error: a\nerror: b\n  hint: h\n".to_owned())));
    }

    #[test]
    fn a_containers_code_says_nothing() {
        assert_eq!(Failure::silent(7).render(), "");
    }
}
