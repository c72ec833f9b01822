//! Log drivers and their options: what is accepted, and what it means.

use std::collections::BTreeMap;
use std::path::Path;

use regex_lite::Regex;
use runtime::spec::{LogFormat, LogSpec};
use serde_json::Value;

use super::tag;
use crate::Error;
use crate::containers::{LogConfig, Record, validate};
use crate::error::go_bool;

/// What the options of one container come to.
#[derive(Debug)]
struct Rotation {
    max_size: Option<u64>,
    max_files: u32,
    compress: bool,
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(message.into()))
}

/// Docker's drivers that Slipway has not.
const OTHERS: &[&str] = &[
    "awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "journald", "splunk", "syslog",
];

/// Fills in the default driver and refuses what dockerd refuses at create, in its words.
pub(crate) fn validate(config: &mut LogConfig) -> Result<(), Error> {
    if config.driver.is_empty() {
        config.driver = "json-file".into();
    }
    match config.config.get("mode").map_or("", String::as_str) {
        "" | "blocking" => {
            if config.config.contains_key("max-buffer-size") {
                return invalid(
                    "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
                );
            }
        }
        "non-blocking" => {
            if let Some(size) = config.config.get("max-buffer-size")
                && validate::parse_size(size).is_none()
            {
                return invalid(format!(
                    "error parsing option max-buffer-size: invalid size: '{size}'"
                ));
            }
        }
        mode => return invalid(format!("logger: logging mode not supported: {mode}")),
    }
    let of = match config.driver.as_str() {
        "none" => return Ok(()),
        "json-file" => "for json-file log driver",
        "local" => "for log driver local",
        driver if OTHERS.contains(&driver) => {
            return invalid(format!(
                "logger: no log driver named '{driver}' is registered"
            ));
        }
        driver => {
            return invalid(format!(
                "error looking up logging plugin {driver}: plugin \"{driver}\" not found"
            ));
        }
    };
    let local = config.driver == "local";
    for key in config.config.keys() {
        match key.as_str() {
            "max-size" | "max-file" | "compress" | "mode" | "max-buffer-size" => {}
            "labels" | "labels-regex" | "env" | "env-regex" | "tag" if !local => {}
            _ => return invalid(format!("unknown log opt '{key}' {of}")),
        }
    }
    Ok(())
}

/// Refuses what dockerd finds wrong with the start only.
pub(crate) fn check(config: &LogConfig) -> Result<(), Error> {
    let template = config.config.get("tag").map_or("", String::as_str);
    rotation(config)
        .and_then(|_| tag::check(template))
        .map_err(|error| {
            Error::System(format!(
                "failed to create task for container: failed to initialize logging driver: {error}"
            ))
        })
}

fn rotation(config: &LogConfig) -> Result<Rotation, Error> {
    let local = config.driver == "local";
    let mut rotation = if local {
        Rotation {
            max_size: Some(20 << 20),
            max_files: 5,
            compress: true,
        }
    } else {
        Rotation {
            max_size: None,
            max_files: 1,
            compress: false,
        }
    };
    let given = |key: &str| config.config.get(key).filter(|value| !value.is_empty());
    if let Some(text) = given("max-size") {
        match validate::parse_size(text) {
            None if local => {
                return invalid(format!(
                    "invalid value for max-size: {text}: invalid size: '{text}'"
                ));
            }
            None => return invalid(format!("invalid size: '{text}'")),
            Some(0) if !local => return invalid("max-size must be a positive number"),
            Some(size) => rotation.max_size = Some(size).filter(|size| *size > 0),
        }
    }
    if let Some(text) = given("max-file") {
        match text.parse::<i64>() {
            Err(_) => {
                return invalid(format!("strconv.Atoi: parsing \"{text}\": invalid syntax"));
            }
            Ok(..0) if local => return invalid("max-file must not be negative"),
            Ok(..1) if !local => return invalid("max-file cannot be less than 1"),
            Ok(count) => rotation.max_files = u32::try_from(count).unwrap_or(u32::MAX).max(1),
        }
    }
    if let Some(text) = given("compress") {
        rotation.compress = go_bool(text).map_err(Error::Invalid)?;
    }
    if rotation.compress && rotation.max_files < 2 && local {
        return invalid("compression cannot be enabled when max file count is 1");
    }
    if rotation.compress && (rotation.max_files < 2 || rotation.max_size.is_none()) && !local {
        return invalid(
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        );
    }
    Ok(rotation)
}

/// What the warden does with a container's output.
pub(crate) fn spec(record: &Record, dir: &Path) -> LogSpec {
    let config = &record.host_config.log_config;
    // It has been checked; a record of old with less in it keeps the defaults.
    let rotation = rotation(config).unwrap_or(Rotation {
        max_size: None,
        max_files: 1,
        compress: false,
    });
    let attributes = attributes(record);
    LogSpec {
        path: (config.driver != "none").then(|| path(record, dir)),
        format: match config.driver.as_str() {
            "local" => LogFormat::Local,
            _ => LogFormat::JsonFile,
        },
        attrs: if attributes.is_empty() {
            String::new()
        } else {
            Value::from_iter(attributes).to_string()
        },
        compress: rotation.compress,
        max_size: rotation.max_size,
        max_files: rotation.max_files,
    }
}

/// The newest file of a container's log.
pub(crate) fn path(record: &Record, dir: &Path) -> std::path::PathBuf {
    match record.host_config.log_config.driver.as_str() {
        "local" => dir.join("container.log"),
        _ => dir.join(format!("{}-json.log", record.id)),
    }
}

/// What `docker logs --details` shows: labels and environment by the driver's options, and the tag.
pub(crate) fn attributes(record: &Record) -> BTreeMap<String, String> {
    let options = &record.host_config.log_config.config;
    let config = &record.config;
    let variables: BTreeMap<String, String> = config
        .env
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut attributes = BTreeMap::new();
    for (names, pattern, all) in [
        ("labels", "labels-regex", &config.labels),
        ("env", "env-regex", &variables),
    ] {
        let names = options.get(names).map_or("", String::as_str);
        let pattern = options
            .get(pattern)
            .filter(|pattern| !pattern.is_empty())
            .and_then(|pattern| Regex::new(pattern).ok());
        let wanted = all.iter().filter(|(name, _)| {
            names.split(',').any(|wanted| wanted == *name)
                || pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.is_match(name))
        });
        attributes.extend(wanted.map(|(name, value)| (name.clone(), value.clone())));
    }
    if let Some(template) = options.get("tag").filter(|template| !template.is_empty()) {
        // It has been checked.
        attributes.extend(
            tag::fill(template, record)
                .map(|tag| ("tag".into(), tag))
                .ok(),
        );
    }
    attributes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn checked(driver: &str, options: &[(&str, &str)]) -> Result<LogConfig, String> {
        let mut config = LogConfig {
            driver: driver.into(),
            config: options
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        };
        validate(&mut config)
            .and_then(|()| check(&config))
            .map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn options_are_checked_in_dockers_words() {
        assert_eq!(checked("", &[]).unwrap().driver, "json-file");
        let config = checked("local", &[("max-size", "1k")]).unwrap();
        let rotation = rotation(&config).unwrap();
        assert_eq!(
            (rotation.max_size, rotation.max_files, rotation.compress),
            (Some(1024), 5, true)
        );
        for (driver, options, words) in [
            (
                "syslog",
                &[] as &[_],
                "logger: no log driver named 'syslog' is registered",
            ),
            (
                "json-file",
                &[("x", "1")],
                "unknown log opt 'x' for json-file log driver",
            ),
            (
                "local",
                &[("x", "1")],
                "unknown log opt 'x' for log driver local",
            ),
            (
                "json-file",
                &[("max-file", "0")],
                "max-file cannot be less than 1",
            ),
            (
                "json-file",
                &[("max-size", "0")],
                "max-size must be a positive number",
            ),
            (
                "json-file",
                &[("compress", "true")],
                "compress cannot be true when max-file",
            ),
            (
                "local",
                &[("max-file", "1")],
                "compression cannot be enabled when",
            ),
            (
                "json-file",
                &[("mode", "fast")],
                "logger: logging mode not supported: fast",
            ),
            (
                "json-file",
                &[("max-buffer-size", "1m")],
                "only supported with 'mode=non-blocking'",
            ),
            (
                "json-file",
                &[("tag", "{{.Nmae}}")],
                "failed to initialize logging driver: template: log-tag:1:2: executing \"log-tag\" at <.Nmae>: can't evaluate field Nmae",
            ),
        ] {
            let error = checked(driver, options).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
