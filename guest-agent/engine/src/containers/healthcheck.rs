//! How a container's health is checked: Docker's `HealthConfig`, as clients send it, as images carry
//! it, and the two merged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Docker's smallest duration, in nanoseconds.
const SHORTEST: i64 = 1_000_000;

/// Docker's `HealthConfig`. Durations are nanoseconds; zero is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", command]`; empty inherits the image's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between two checks; 30 seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// How long one check may take; 30 seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Time at the start in which failures don't count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two checks in that time; 5 seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy; 3.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

impl From<images::Healthcheck> for HealthConfig {
    fn from(check: images::Healthcheck) -> Self {
        Self {
            test: check.test,
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn or_seconds(nanoseconds: i64, default: u64) -> Duration {
    match u64::try_from(nanoseconds) {
        Ok(given @ 1..) => Duration::from_nanos(given),
        _ => Duration::from_secs(default),
    }
}

impl HealthConfig {
    /// Refuses what dockerd refuses, in its words.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let too_short = |value: i64| value != 0 && value < SHORTEST;
        let what = if too_short(self.interval) {
            "Interval in Healthcheck cannot be less than 1ms"
        } else if too_short(self.timeout) {
            "Timeout in Healthcheck cannot be less than 1ms"
        } else if self.retries < 0 {
            "Retries in Healthcheck cannot be negative"
        } else if too_short(self.start_period) {
            "StartPeriod in Healthcheck cannot be less than 1ms"
        } else if too_short(self.start_interval) {
            "StartInterval in Healthcheck cannot be less than 1ms"
        } else {
            return Ok(());
        };
        Err(Error::Invalid(what.into()))
    }

    /// Fills what is not given from another's.
    pub(crate) fn inherit(&mut self, image: &Self) {
        if self.test.is_empty() {
            self.test.clone_from(&image.test);
        }
        for (own, theirs) in [
            (&mut self.interval, image.interval),
            (&mut self.timeout, image.timeout),
            (&mut self.start_period, image.start_period),
            (&mut self.start_interval, image.start_interval),
            (&mut self.retries, image.retries),
        ] {
            if *own == 0 {
                *own = theirs;
            }
        }
    }

    /// The command of a check; nothing when there is none to make.
    pub(crate) fn command(&self, shell: Option<&[String]>) -> Option<Vec<String>> {
        let (kind, words) = self.test.split_first()?;
        match kind.as_str() {
            "CMD" => Some(words.to_vec()),
            "CMD-SHELL" => {
                let default = ["/bin/sh".to_owned(), "-c".to_owned()];
                let shell = shell.filter(|shell| !shell.is_empty()).unwrap_or(&default);
                Some([shell, words].concat())
            }
            _ => None,
        }
    }

    pub(crate) fn interval(&self) -> Duration {
        or_seconds(self.interval, 30)
    }

    pub(crate) fn timeout(&self) -> Duration {
        or_seconds(self.timeout, 30)
    }

    pub(crate) fn start_period(&self) -> Duration {
        or_seconds(self.start_period, 0)
    }

    pub(crate) fn start_interval(&self) -> Duration {
        or_seconds(self.start_interval, 5)
    }

    /// Failures in a row that make it unhealthy.
    pub(crate) fn retries(&self) -> i64 {
        if self.retries > 0 { self.retries } else { 3 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_not_given_comes_from_the_image() {
        let image = HealthConfig::from(images::Healthcheck {
            test: vec!["CMD-SHELL".into(), "true".into()],
            interval: 5,
            retries: 7,
            ..images::Healthcheck::default()
        });
        let mut own = HealthConfig {
            interval: 9,
            ..HealthConfig::default()
        };
        own.inherit(&image);
        assert_eq!((own.interval, own.retries), (9, 7));
        assert_eq!(own.command(None).unwrap(), ["/bin/sh", "-c", "true"]);
        let bash = ["bash".to_owned(), "-ec".to_owned()];
        assert_eq!(own.command(Some(&bash)).unwrap(), ["bash", "-ec", "true"]);
        own.test = vec!["NONE".into()];
        assert_eq!(own.command(None), None);
        assert_eq!(own.timeout(), Duration::from_secs(30));
    }

    #[test]
    fn nonsense_is_refused_in_dockers_words() {
        let check = HealthConfig {
            start_interval: 5,
            ..HealthConfig::default()
        };
        assert_eq!(
            check.validate().unwrap_err().to_string(),
            "StartInterval in Healthcheck cannot be less than 1ms"
        );
        let check = HealthConfig {
            retries: -1,
            ..HealthConfig::default()
        };
        assert!(check.validate().is_err());
        HealthConfig::default().validate().unwrap();
    }
}
