//! `--health-*`: how the engine finds out whether a container is well.

use serde::Serialize;

use super::flags::HealthFlags;

/// A check as the API takes it; times in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Health {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    retries: i64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The check that the flags ask for; `None` leaves the image's.
///
/// # Errors
/// Docker's words.
pub(crate) fn health(flags: &HealthFlags) -> Result<Option<Health>, String> {
    let health = Health {
        test: match flags.health_cmd.as_deref() {
            Some(command) if !command.is_empty() => {
                vec!["CMD-SHELL".to_owned(), command.to_owned()]
            }
            _ => Vec::new(),
        },
        interval: flags.health_interval.unwrap_or(0),
        timeout: flags.health_timeout.unwrap_or(0),
        start_period: flags.health_start_period.unwrap_or(0),
        start_interval: flags.health_start_interval.unwrap_or(0),
        retries: flags.health_retries.unwrap_or(0),
    };
    let asked = health != Health::default();
    if flags.no_healthcheck {
        if asked {
            return Err("--no-healthcheck conflicts with --health-* options".to_owned());
        }
        return Ok(Some(Health {
            test: vec!["NONE".to_owned()],
            ..Health::default()
        }));
    }
    if health.retries < 0 {
        return Err("--health-retries cannot be negative".to_owned());
    }
    Ok(asked.then_some(health))
}

/// Parses Go's durations: `1m30s`, `500ms`, `1.5h`; nanoseconds.
///
/// # Errors
/// Go's words.
pub(crate) fn nanoseconds(word: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {word:?}");
    if word == "0" {
        return Ok(0);
    }
    let mut rest = word;
    let mut total = 0.0;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let at = rest
            .find(|char: char| !char.is_ascii_digit() && char != '.')
            .ok_or_else(|| format!("time: missing unit in duration {word:?}"))?;
        let number: f64 = rest[..at].parse().map_err(|_| invalid())?;
        rest = &rest[at..];
        let end = rest
            .find(|char: char| char.is_ascii_digit() || char == '.')
            .unwrap_or(rest.len());
        let scale = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            unit => return Err(format!("time: unknown unit {unit:?} in duration {word:?}")),
        };
        total += number * scale;
        rest = &rest[end..];
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a duration too long saturates"
    )]
    Ok(total as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn durations() {
        assert_eq!(nanoseconds("1m30s"), Ok(90_000_000_000));
        assert_eq!(nanoseconds("500ms"), Ok(500_000_000));
        assert_eq!(nanoseconds("1.5h"), Ok(5_400_000_000_000));
        assert_eq!(nanoseconds("0"), Ok(0));
        assert_eq!(
            nanoseconds("5"),
            Err("time: missing unit in duration \"5\"".into())
        );
        assert!(nanoseconds("5d").is_err());
        assert!(nanoseconds("-5s").is_err());
        assert!(nanoseconds("").is_err());
    }

    #[test]
    fn checks() {
        let mut flags = HealthFlags::default();
        assert_eq!(health(&flags), Ok(None));
        flags.no_healthcheck = true;
        assert_eq!(health(&flags).unwrap().unwrap().test, ["NONE"]);
        flags.health_cmd = Some("true".into());
        assert!(health(&flags).is_err());
        flags.no_healthcheck = false;
        assert_eq!(health(&flags).unwrap().unwrap().test, ["CMD-SHELL", "true"]);
    }
}
