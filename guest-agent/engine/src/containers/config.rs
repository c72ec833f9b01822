//! The portable half of a container's configuration: Docker's `Config` object, as clients send it
//! at create, as inspect shows it, and as it is kept on disk.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::HealthConfig;

/// Docker's container `Config`. Nulls are what Docker writes for absent lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename = "CreateRequest", rename_all = "PascalCase")]
pub struct Config {
    /// Host name; the short id when the client gave none.
    pub hostname: String,
    /// NIS domain name.
    pub domainname: String,
    /// `--user`.
    pub user: String,
    /// The client that creates the container wants to attach standard input.
    pub attach_stdin: bool,
    /// … standard output.
    pub attach_stdout: bool,
    /// … standard error.
    pub attach_stderr: bool,
    /// `80/tcp` …
    #[serde(deserialize_with = "names", skip_serializing_if = "Map::is_empty")]
    pub exposed_ports: Map<String, Value>,
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep standard input open.
    pub open_stdin: bool,
    /// Close standard input after the first attached client.
    pub stdin_once: bool,
    /// `NAME=value`.
    #[serde(with = "null_when_empty")]
    pub env: Vec<String>,
    /// Arguments, or the command when there is no entry point.
    #[serde(deserialize_with = "one_or_many")]
    pub cmd: Option<Vec<String>>,
    /// How health is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// Windows' word for a command that is one string already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// Image as the client named it.
    pub image: String,
    /// Anonymous volumes: paths in the container.
    #[serde(deserialize_with = "some_names")]
    pub volumes: Option<Map<String, Value>>,
    /// Working directory; empty is `/`.
    pub working_dir: String,
    /// Entry point.
    #[serde(deserialize_with = "one_or_many")]
    pub entrypoint: Option<Vec<String>>,
    /// No network at all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub network_disabled: bool,
    /// Hardware address of the container's interface.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    /// Build triggers of the image.
    pub on_build: Option<Vec<String>>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Signal that stops the container; empty is SIGTERM.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Seconds until a stop is forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// Shell of the image's shell-form commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// Reads a list of strings, or a single string as a list of one, as Docker does.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    let wrong = |found: &str| {
        D::Error::custom(format!(
            "json: cannot unmarshal {found} into Go value of type string"
        ))
    };
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(one) => Ok(Some(vec![one])),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                Value::Null => Ok(String::new()),
                _ => Err(wrong("array")),
            })
            .collect::<Result<_, _>>()
            .map(Some),
        Value::Bool(_) => Err(wrong("bool")),
        Value::Number(_) => Err(wrong("number")),
        Value::Object(_) => Err(wrong("object")),
    }
}

/// Reads a map of which only the names count: nothing is in its values, not even null.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(some_names(deserializer)?.unwrap_or_default())
}

fn some_names<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    let mut read: Option<Map<String, Value>> = Option::deserialize(deserializer)?;
    for value in read.iter_mut().flat_map(Map::values_mut) {
        if value.is_null() {
            *value = Value::Object(Map::new());
        }
    }
    Ok(read)
}

/// Writes an empty list as null, as Docker does where nobody gave one.
mod null_when_empty {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(list: &[String], to: S) -> Result<S::Ok, S::Error> {
        (!list.is_empty()).then_some(list).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or_default())
    }
}

impl Config {
    /// The program and its arguments: entry point, then command.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let mut args = self.entrypoint.clone().unwrap_or_default();
        args.extend(self.cmd.clone().unwrap_or_default());
        args
    }
}
