//! Asking a person before something can't be undone.

use std::io::BufRead as _;

use crate::failure::Failure;
use crate::output;

/// Asks and waits for a yes, as docker does. Where nobody answers, that is a no.
///
/// # Errors
/// When the answer is not yes.
pub(crate) fn sure(what: &str, warning: &str) -> Result<(), Failure> {
    output::err(format!("{warning}\nAre you sure you want to continue? [y/N] ").as_bytes());
    let mut answer = String::new();
    // What can't be read is no yes.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if answer.trim().eq_ignore_ascii_case("y") {
        return Ok(());
    }
    Err(Failure::new(format!("{what} has been cancelled"))
        .hint("answer y, or give -f to be asked nothing"))
}
