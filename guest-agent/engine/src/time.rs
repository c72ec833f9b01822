//! Points in time as Docker writes them: RFC 3339 in UTC with the fraction's trailing zeros
//! trimmed, as Go's `time.RFC3339Nano`; the zero time is the first instant of the year 1.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seconds from the Unix epoch to Go's zero time.
const ZERO_SECONDS: i64 = -62_135_596_800;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Timestamp);

impl Time {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self(Timestamp::now())
    }

    /// Go's zero time, which Docker uses for "never".
    #[must_use]
    pub fn zero() -> Self {
        Self(Timestamp::new(ZERO_SECONDS, 0).unwrap_or(Timestamp::MIN))
    }

    /// A time from seconds and nanoseconds since the Unix epoch; zero time when out of range.
    #[must_use]
    pub fn from_unix(seconds: i64, nanoseconds: i32) -> Self {
        Timestamp::new(seconds, nanoseconds).map_or_else(|_| Self::zero(), Self)
    }

    /// Whether this is the zero time.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.as_second() == ZERO_SECONDS && self.0.subsec_nanosecond() == 0
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.as_second()
    }

    /// Nanoseconds since the Unix epoch, as far as 64 bits reach.
    #[must_use]
    pub fn unix_nano(self) -> i64 {
        i64::try_from(self.0.as_nanosecond()).unwrap_or(i64::MIN)
    }

    /// How long after `earlier` this is, never negative.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let nanoseconds = self.0.as_nanosecond() - earlier.0.as_nanosecond();
        Duration::from_nanos(u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX))
    }

    /// Seconds from `earlier` to this, never negative.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.as_second() - earlier.0.as_second()).unwrap_or(0)
    }

    /// With exactly nine digits of fraction: the form of log timestamps and log lines.
    #[must_use]
    pub fn with_nanoseconds(self) -> String {
        format!(
            "{}.{:09}Z",
            self.0.strftime("%Y-%m-%dT%H:%M:%S"),
            self.fraction()
        )
    }

    /// The nanoseconds behind the full second, which count forward before 1970, too.
    fn fraction(self) -> i128 {
        self.0.as_nanosecond().rem_euclid(1_000_000_000)
    }

    /// Parses what clients send for `since` and `until`: Unix seconds with an optional fraction,
    /// an RFC 3339 time, or a Go duration before `now`.
    #[must_use]
    pub fn parse_client(text: &str, now: Self) -> Option<Self> {
        if let Some(time) = parse_unix(text) {
            return Some(time);
        }
        if let Ok(time) = text.parse() {
            return Some(time);
        }
        let nanoseconds = parse_go_duration(text)?;
        let then = now.0.as_nanosecond() - i128::from(nanoseconds);
        Timestamp::from_nanosecond(then).ok().map(Self)
    }
}

fn parse_unix(text: &str) -> Option<Time> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().ok()?;
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = if fraction.is_empty() {
        0
    } else {
        format!("{fraction:0<9}").parse().ok()?
    };
    Some(Time::from_unix(seconds, nanoseconds))
}

/// Nanoseconds of a duration in Go's notation, such as `1h30m` or `1.5s`.
#[must_use]
pub fn parse_go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = rest.get(..digits)?;
        rest = rest.get(digits..)?;
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = match rest.get(..unit_end)? {
            "ns" => 1,
            // The micro sign and the Greek letter.
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(times(number, unit)?)?;
        rest = rest.get(unit_end..)?;
    }
    let total = i64::try_from(total).ok()?;
    Some(if negative { -total } else { total })
}

/// A number with or without a fraction, so many times; what is less than one is cut off. Nothing where
/// that is more than fits: Go refuses it.
fn times(number: &str, unit: u64) -> Option<u64> {
    /// More digits of a fraction make no difference.
    const MOST: usize = 18;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let value = |digits: &str| match digits {
        "" => Some(0_u64),
        digits => digits.parse().ok(),
    };
    let fraction = fraction.get(..MOST).unwrap_or(fraction);
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(value(fraction)?) * u128::from(unit) / scale;
    value(whole)?
        .checked_mul(unit)?
        .checked_add(u64::try_from(part).ok()?)
}

/// A duration as Go prints it: `1m30s`, `1.5s`, `200ms`.
#[must_use]
pub fn go_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let (unit, scale) = match nanoseconds {
        0 => return "0s".into(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let mut whole = nanoseconds / scale;
    let mut text = String::new();
    if unit == "s" {
        if whole >= 3600 {
            text += &format!("{}h", whole / 3600);
        }
        if whole >= 60 {
            text += &format!("{}m", whole / 60 % 60);
        }
        whole %= 60;
    }
    text += &whole.to_string();
    let digits = scale.ilog10() as usize;
    let fraction = format!("{:0digits$}", nanoseconds % scale);
    let fraction = fraction.trim_end_matches('0');
    if digits > 0 && !fraction.is_empty() {
        text += &format!(".{fraction}");
    }
    text + unit
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%S"))?;
        let nanoseconds = self.fraction();
        if nanoseconds != 0 {
            let digits = format!("{nanoseconds:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A duration in words, as `docker ps` prints it: `Less than a second`, `About a minute`,
/// `3 hours`.
#[must_use]
pub fn human_duration(seconds: u64) -> String {
    let hours = (seconds + 1800) / 3600;
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        2..=59 => format!("{seconds} seconds"),
        60..=119 => "About a minute".into(),
        120..=3599 => format!("{} minutes", seconds / 60),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn writes_times_as_go_does() {
        assert_eq!(Time::zero().to_string(), "0001-01-01T00:00:00Z");
        assert_eq!(
            Time::from_unix(1, 120_000_000).to_string(),
            "1970-01-01T00:00:01.12Z"
        );
        assert_eq!(Time::from_unix(1, 0).to_string(), "1970-01-01T00:00:01Z");
        assert_eq!(
            Time::from_unix(1, 5).with_nanoseconds(),
            "1970-01-01T00:00:01.000000005Z"
        );
        let early = "1969-12-31T23:59:58.25Z";
        let time: Time = early.parse().unwrap();
        assert_eq!(time.to_string(), early);
        assert_eq!(time.with_nanoseconds(), "1969-12-31T23:59:58.250000000Z");
    }

    #[test]
    fn reads_what_clients_send() {
        let now = Time::from_unix(1000, 0);
        assert_eq!(
            Time::parse_client("12.5", now),
            Some(Time::from_unix(12, 500_000_000))
        );
        assert_eq!(
            Time::parse_client("1m30s", now),
            Some(Time::from_unix(910, 0))
        );
        assert_eq!(
            Time::parse_client("1970-01-01T00:00:02Z", now),
            Some(Time::from_unix(2, 0))
        );
        assert_eq!(Time::parse_client("yesterday", now), None);
    }

    #[test]
    fn reads_durations_as_go_does() {
        for (text, nanoseconds) in [
            ("1.001s", Some(1_001_000_000)),
            ("1.000000007s", Some(1_000_000_007)),
            ("2540400h10m10s", Some(9_145_440_610_000_000_000)),
            ("-1.5h", Some(-5_400_000_000_000)),
            (".5\u{3bc}s", Some(500)),
            ("1.s", Some(1_000_000_000)),
            ("2562048h", None),
            ("9223372036854775808ns", None),
            (".s", None),
            ("1.2.3s", None),
            ("1", None),
            ("+", None),
        ] {
            assert_eq!(parse_go_duration(text), nanoseconds, "{text}");
        }
    }

    #[test]
    fn says_durations_as_go_does() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (200_000_000, "200ms"),
            (1_000_000_000, "1s"),
            (1_050_000_000, "1.05s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn says_durations_as_docker_does() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (180, "3 minutes"),
            (3600, "About an hour"),
            (2 * 3600, "2 hours"),
            (3 * 86_400, "3 days"),
            (21 * 86_400, "3 weeks"),
        ] {
            assert_eq!(human_duration(seconds), text, "{seconds}");
        }
    }
}
