//! Reads the words in a container's status ("Up 2 hours (healthy)"): the list has no other place
//! for times, exit codes and health. The words are those of Docker's `units.HumanDuration`.

use crate::view::Health;

/// What the words say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// How long ago, and how exact that is; both in milliseconds.
    pub(super) age: Option<(i64, i64)>,
    /// Exit code.
    pub(super) exit_code: Option<i64>,
    /// Health.
    pub(super) health: Option<Health>,
}

/// Understands `Up AGE`, `Exited (CODE) AGE ago`, `Restarting (CODE) AGE ago`.
pub(super) fn parse(text: &str) -> Facts {
    let (words, health) = match text {
        _ if text.ends_with("(healthy)") => (cut(text), Some(Health::Healthy)),
        _ if text.ends_with("(unhealthy)") => (cut(text), Some(Health::Unhealthy)),
        _ if text.ends_with("(health: starting)") => (cut(text), Some(Health::Starting)),
        _ if text.ends_with("(Paused)") => (cut(text), None),
        _ => (text, None),
    };
    if let Some(age) = words.strip_prefix("Up ") {
        return Facts {
            age: duration(age.trim()),
            exit_code: None,
            health,
        };
    }
    let Some((code, age)) = words
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
    else {
        return Facts::default();
    };
    Facts {
        age: duration(age.trim().trim_end_matches(" ago")),
        exit_code: code.parse().ok(),
        health: None,
    }
}

/// Without the remark in parentheses at the end.
fn cut(text: &str) -> &str {
    text.rfind('(').map_or(text, |at| &text[..at])
}

/// A duration and the step to the next one that Docker would print.
fn duration(words: &str) -> Option<(i64, i64)> {
    const SECOND: i64 = 1_000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    match words {
        "Less than a second" => return Some((0, 2 * SECOND)),
        "About a minute" => return Some((MINUTE, MINUTE)),
        "About an hour" => return Some((HOUR, HOUR)),
        _ => {}
    }
    let (count, unit) = words.split_once(' ')?;
    let unit = match unit.trim_end_matches('s') {
        "second" => 2 * SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" => DAY,
        "week" => 7 * DAY,
        "month" => 30 * DAY,
        "year" => 365 * DAY,
        _ => return None,
    };
    let count: i64 = count.parse().ok()?;
    if unit == 2 * SECOND {
        return Some((count.checked_mul(SECOND)?, unit));
    }
    Some((count.checked_mul(unit)?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_words() {
        let cases = [
            (
                "Up 2 hours (healthy)",
                Some(7_200_000),
                None,
                Some(Health::Healthy),
            ),
            (
                "Up 3 seconds (health: starting)",
                Some(3_000),
                None,
                Some(Health::Starting),
            ),
            (
                "Up About a minute (unhealthy)",
                Some(60_000),
                None,
                Some(Health::Unhealthy),
            ),
            ("Up 5 minutes (Paused)", Some(300_000), None, None),
            ("Up Less than a second", Some(0), None, None),
            ("Exited (0) 3 weeks ago", Some(1_814_400_000), Some(0), None),
            (
                "Exited (137) About an hour ago",
                Some(3_600_000),
                Some(137),
                None,
            ),
            ("Restarting (1) 4 seconds ago", Some(4_000), Some(1), None),
            ("Created", None, None, None),
            ("", None, None, None),
        ];
        for (text, age, exit_code, health) in cases {
            let facts = parse(text);
            assert_eq!(facts.age.map(|(age, _)| age), age, "{text}");
            assert_eq!(facts.exit_code, exit_code, "{text}");
            assert_eq!(facts.health, health, "{text}");
        }
    }
}
