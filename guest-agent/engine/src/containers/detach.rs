//! The keys that detach a client from a terminal: by default Ctrl-P, Ctrl-Q.

use crate::Error;

/// Looks for the detach keys in what a client types.
#[derive(Debug, Clone)]
pub struct DetachScanner {
    keys: Vec<u8>,
    matched: usize,
}

/// What a scan found.
#[derive(Debug, PartialEq, Eq)]
pub enum Scanned {
    /// Bytes for the process (bytes that may begin the keys are held back).
    Forward(Vec<u8>),
    /// Bytes for the process, then the keys.
    Detach(Vec<u8>),
}

impl DetachScanner {
    /// Parses keys such as `ctrl-p,ctrl-q` or `a,b`; empty is the default.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self {
                keys: vec![16, 17],
                matched: 0,
            });
        }
        let keys = text
            .split(',')
            .map(key)
            .collect::<Option<Vec<u8>>>()
            .ok_or_else(|| Error::Invalid(format!("Invalid detach keys ({text}) provided")))?;
        Ok(Self { keys, matched: 0 })
    }

    /// The bytes of the keys.
    #[must_use]
    pub fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// Takes the next bytes.
    pub fn scan(&mut self, input: &[u8]) -> Scanned {
        let mut forward = Vec::with_capacity(input.len() + self.matched);
        for &byte in input {
            if self.keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Scanned::Detach(forward);
                }
                continue;
            }
            forward.extend_from_slice(&self.keys[..self.matched]);
            self.matched = 0;
            if self.keys.first() == Some(&byte) && self.keys.len() > 1 {
                self.matched = 1;
            } else {
                forward.push(byte);
            }
        }
        Scanned::Forward(forward)
    }
}

fn key(text: &str) -> Option<u8> {
    if let [byte] = text.as_bytes() {
        return Some(*byte);
    }
    if text == "DEL" {
        return Some(127);
    }
    match text.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [b'['] => Some(27),
        [b'\\'] => Some(28),
        [b']'] => Some(29),
        [b'^'] => Some(30),
        [b'_'] => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn finds_the_keys_across_reads() {
        let mut scanner = DetachScanner::parse("").unwrap();
        assert_eq!(scanner.scan(b"ab\x10"), Scanned::Forward(b"ab".to_vec()));
        assert_eq!(scanner.scan(b"\x11x"), Scanned::Detach(Vec::new()));
    }

    #[test]
    fn gives_back_what_only_began_like_the_keys() {
        let mut scanner = DetachScanner::parse("ctrl-p,ctrl-q").unwrap();
        assert_eq!(scanner.scan(b"\x10z"), Scanned::Forward(b"\x10z".to_vec()));
        assert_eq!(
            scanner.scan(b"\x10\x10\x11"),
            Scanned::Detach(b"\x10".to_vec())
        );
        assert!(DetachScanner::parse("ctrl-1x").is_err());
    }
}
