//! Durations in words, as go-units' `HumanDuration` has them.

/// "2 minutes", "About an hour", "3 weeks": `seconds` in words.
pub(crate) fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Rounded to the next hour, as Docker does.
    let hours = (seconds + 1800) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// "2 minutes ago": the time since `unix`, in seconds since 1970.
pub(crate) fn since(unix: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    format!("{} ago", duration(now - unix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_units() {
        const HOUR: i64 = 3600;
        const DAY: i64 = 24 * HOUR;
        for (seconds, words) in [
            (0, "Less than a second"),
            (-5, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 29 * 60, "About an hour"),
            (HOUR + 31 * 60, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (59 * DAY, "8 weeks"),
            (60 * DAY, "2 months"),
            (365 * DAY, "12 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(duration(seconds), words, "{seconds}");
        }
    }
}
