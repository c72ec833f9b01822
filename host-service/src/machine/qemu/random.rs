//! Random bytes, and their text.

use client::wire::Problem;

use crate::problem::{Explain, problem};

pub(super) fn bytes<const COUNT: usize>() -> Result<[u8; COUNT], Problem> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes)
        .map_err(|error| problem("the system has no random bytes").because(error))?;
    Ok(bytes)
}

/// In hexadecimal.
pub(super) fn text<const COUNT: usize>() -> Result<String, Problem> {
    let bytes = bytes::<COUNT>()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
