//! When to try again, and how long to wait before.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

const ATTEMPTS: u32 = 5;
const FIRST: Duration = Duration::from_millis(250);
/// No registry makes a person wait longer than this between two tries.
const LONGEST: Duration = Duration::from_secs(20);

/// Counts the tries of one piece of work.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The time to wait before the next try; `None` when it is time to give up.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= ATTEMPTS {
            return None;
        }
        let doubled = FIRST * 2_u32.pow(self.failures - 1);
        Some(
            asked
                .unwrap_or(doubled)
                .max(doubled)
                .mul_f64(jitter())
                .min(LONGEST),
        )
    }

    /// Forgets the failures: the work has moved on since.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
    }
}

/// Many layers fail together; they should not all come back together.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(0);
    1.0 + f64::from(random) / f64::from(u32::MAX) / 4.0
}

/// Whether a status says "later".
pub(super) fn is_temporary(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
        || status.is_server_error()
}

/// `Retry-After` in seconds.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = std::iter::from_fn(|| backoff.next(None)).collect();
        assert_eq!(waits.len(), 4);
        assert!(waits[0] >= FIRST && waits[3] >= FIRST * 8 && waits[3] <= FIRST * 10);
        backoff.progressed();
        assert!(backoff.next(Some(Duration::from_secs(3600))).unwrap() <= LONGEST);
    }
}
