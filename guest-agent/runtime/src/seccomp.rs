//! System call filters: a profile in Docker's format (`profile`), the numbers of each
//! architecture's calls (`numbers`), and the program for the kernel (`compile`).
//!
//! The crate seccompiler is not used: it knows one architecture and one errno a filter and kills
//! the calls of 32-bit programs, where Docker's default profile covers x86 and x32 beside x86-64
//! and answers `clone3` with an errno of its own.

mod compile;
mod numbers;
mod profile;

use crate::error::Error;
use crate::spec::Seccomp;
use profile::{Context, Profile};

/// Docker's default profile.
const DEFAULT: &str = include_str!("seccomp/default.json");

/// The filter for a process with these capabilities; `None` without one.
pub(crate) fn program(
    choice: &Seccomp,
    capabilities: &[String],
) -> Result<Option<Vec<libc::sock_filter>>, Error> {
    let json = match choice {
        Seccomp::Unconfined => return Ok(None),
        Seccomp::Default => DEFAULT,
        Seccomp::Profile(json) => json.as_str(),
    };
    let context = Context {
        capabilities,
        kernel: profile::running_kernel(),
        native: numbers::NATIVE,
    };
    let policy = Profile::parse(json)?.resolve(&context)?;
    compile::compile(&policy).map(Some)
}

#[cfg(test)]
mod tests;
