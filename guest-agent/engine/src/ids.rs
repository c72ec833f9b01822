//! Random identifiers: 64 hexadecimal digits, as Docker's.

use crate::Error;

/// A new id. Its first twelve digits are never all decimal, because the short form is the
/// container's default host name and some programs take such a name for a number.
pub(crate) fn random_id() -> Result<String, Error> {
    loop {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::System(format!("no random numbers from the kernel: {e}")))?;
        let id: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        if id.bytes().take(12).any(|b| b.is_ascii_alphabetic()) {
            return Ok(id);
        }
    }
}

/// The first twelve digits, as Docker prints ids.
#[must_use]
pub fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}
