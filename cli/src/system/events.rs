//! `slipway events`.

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::app::App;
use crate::engine::models::Event;
use crate::engine::{Lines, Query, query_filter};
use crate::failure::Failure;
use crate::format::template::Template;
use crate::output;

/// `slipway events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Begin at this time: 2026-01-02T13:23:37Z, or 42m for 42 minutes ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<String>,
    /// End at this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<String>,
    /// Show those that hold: type=container, event=die, container=web, …
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    /// Print this for each, such as '{{.Action}}'
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
}

impl Events {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let as_json = app.json || self.format.as_deref() == Some("json");
        let template = match self.format.as_deref() {
            Some(format) if !as_json => Some(Template::parse(format).map_err(Failure::usage)?),
            _ => None,
        };
        let query = Query::new()
            .opt("since", self.since.as_ref())
            .opt("until", self.until.as_ref())
            .filters(&self.filter);
        let engine = app.engine().await?;
        let mut lines = Lines::new(engine.open("/events", &query).await?);
        while let Some(value) = lines.next().await {
            let value = value?;
            if as_json {
                output::json(&value);
            } else if let Some(template) = &template {
                output::line(&template.render(&value).map_err(Failure::new)?);
            } else {
                output::line(&pretty(value));
            }
        }
        Ok(())
    }
}

/// A line as Docker prints it, in this computer's time zone.
fn pretty(value: Value) -> String {
    let event: Event = serde_json::from_value(value).unwrap_or_default();
    let time = if event.time_nano != 0 {
        Timestamp::from_nanosecond(event.time_nano.into())
    } else {
        Timestamp::from_second(event.time)
    };
    let time = match time {
        Ok(time) => time
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%dT%H:%M:%S.%9f%:z")
            .to_string()
            .replace("+00:00", "Z"),
        Err(_) => String::new(),
    };
    let attributes: Vec<String> = event
        .actor
        .attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let attributes = if attributes.is_empty() {
        String::new()
    } else {
        format!(" ({})", attributes.join(", "))
    };
    format!(
        "{time} {} {} {}{attributes}",
        event.kind, event.action, event.actor.id
    )
}

/// Parses a moment: seconds since 1970, RFC 3339, a date with or without a time in this
/// computer's time zone, or a duration before now. What comes out is seconds since 1970.
///
/// # Errors
/// In words.
pub(crate) fn time(word: &str) -> Result<String, String> {
    moment(word, Timestamp::now())
}

fn moment(word: &str, now: Timestamp) -> Result<String, String> {
    let seconds = |time: Timestamp| {
        let nanoseconds = time.subsec_nanosecond();
        format!("{}.{nanoseconds:09}", time.as_second())
    };
    if word.parse::<f64>().is_ok() {
        return Ok(word.to_owned());
    }
    if let Ok(time) = word.parse::<Timestamp>() {
        return Ok(seconds(time));
    }
    if let Ok(local) = word.parse::<jiff::civil::DateTime>()
        && let Ok(zoned) = local.to_zoned(TimeZone::system())
    {
        return Ok(seconds(zoned.timestamp()));
    }
    let unknown =
        || format!("{word:?} is not a time: write 2026-01-02T13:23:37Z, or 42m for 42 minutes ago");
    let duration: SignedDuration = word.parse().map_err(|_| unknown())?;
    let time = now.checked_sub(duration).map_err(|_| unknown())?;
    Ok(seconds(time))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn moments() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let of = |word: &str| moment(word, now).unwrap();
        assert_eq!(of("1767323045"), "1767323045");
        assert_eq!(of("2026-01-02T03:04:05.5Z"), "1767323045.500000000");
        assert_eq!(of("42m"), "1767320525.000000000");
        assert_eq!(of("1h30m"), "1767317645.000000000");
        assert!(moment("yesterday", now).is_err());
    }

    #[test]
    fn a_line_is_dockers() {
        let line = pretty(serde_json::json!({
            "Type": "container", "Action": "die",
            "Actor": {"ID": "abc", "Attributes": {"name": "web", "exitCode": "0"}},
            "timeNano": 1_767_323_045_000_000_123_i64,
        }));
        assert!(
            line.ends_with(" container die abc (exitCode=0, name=web)"),
            "{line}"
        );
        assert!(line.contains(":05.000000123"), "{line}");
    }
}
