//! The wall clock, in the notation of Docker's API and logs.

use jiff::Timestamp;

/// Now, RFC 3339 with as many digits of the second as are not zero (Go's `RFC3339Nano`).
pub(crate) fn now() -> String {
    Timestamp::now().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn trailing_zeros_are_trimmed() {
        let text = |nanoseconds| {
            Timestamp::new(1_700_000_000, nanoseconds)
                .unwrap()
                .to_string()
        };
        assert_eq!(text(0), "2023-11-14T22:13:20Z");
        assert_eq!(text(120_000_000), "2023-11-14T22:13:20.12Z");
        assert_eq!(text(123_456_789), "2023-11-14T22:13:20.123456789Z");
    }
}
