//! System call filters: a profile in Docker's format (`profile`), the numbers of each
//! architecture's calls (`numbers`), and the program for the kernel (`compile`).
//!
//! The crate seccompiler is not used: it knows one architecture and one errno a filter and kills
//! the calls of 32-bit programs, where Docker's default profile covers x86 and x32 beside x86-64
//! and answers `clone3` with an errno of its own.

mod compile;
mod numbers;
mod profile;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::spec::Seccomp;
use profile::{Context, Profile};

/// Sets of capabilities whose programs are kept.
const MOST_KEPT: usize = 32;

/// Docker's default profile.
const DEFAULT: &str = include_str!("seccomp/default.json");

/// The filter for a process with these capabilities; `None` without one.
pub(crate) fn program(
    choice: &Seccomp,
    capabilities: &[String],
) -> Result<Option<Vec<libc::sock_filter>>, Error> {
    match choice {
        Seccomp::Unconfined => Ok(None),
        Seccomp::Default => default_program(capabilities).map(Some),
        Seccomp::Profile(json) => compile_json(json, capabilities).map(Some),
    }
}

/// The default profile's program, kept for each set of capabilities: nearly every container has
/// the same one.
fn default_program(capabilities: &[String]) -> Result<Vec<libc::sock_filter>, Error> {
    type Programs = HashMap<Vec<String>, Vec<libc::sock_filter>>;
    static PROGRAMS: Mutex<Option<Programs>> = Mutex::new(None);

    // The map is whole whatever happened to a thread that held it.
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = programs.get_or_insert_default();
    if let Some(program) = programs.get(capabilities) {
        return Ok(program.clone());
    }
    let program = compile_json(DEFAULT, capabilities)?;
    if programs.len() >= MOST_KEPT {
        programs.clear();
    }
    programs.insert(capabilities.to_vec(), program.clone());
    Ok(program)
}

fn compile_json(json: &str, capabilities: &[String]) -> Result<Vec<libc::sock_filter>, Error> {
    let context = Context {
        capabilities,
        kernel: profile::running_kernel(),
        native: numbers::NATIVE,
    };
    let policy = Profile::parse(json)?.resolve(&context)?;
    compile::compile(&policy)
}

#[cfg(test)]
mod tests;
