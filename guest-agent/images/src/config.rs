//! An image's configuration: the JSON document whose digest is the image's id.
//!
//! Docker puts fields into it that the OCI specification lacks (`Healthcheck`, `OnBuild`, `Shell`)
//! and registries hold documents with fields nobody foresaw, so the document itself is kept and
//! typed accessors read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Digest, Error, Platform, Result};

/// The configuration document, with every field it came with. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig(Arc<Value>);

/// How to find out whether a container is healthy. Durations are nanoseconds; zero inherits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    pub test: Vec<String>,
    /// Time between checks.
    pub interval: i64,
    /// How long one check may take.
    pub timeout: i64,
    /// Time at the start in which failures do not count.
    pub start_period: i64,
    /// Time between checks during the start period.
    pub start_interval: i64,
    /// Failures in a row that make a container unhealthy.
    pub retries: i64,
}

/// One step of how the image was built.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, in RFC 3339.
    pub created: Option<String>,
    /// The command.
    pub created_by: String,
    /// Who.
    pub author: String,
    /// A free remark.
    pub comment: String,
    /// True for steps that made no layer.
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Parses the document and checks what the store relies on: `rootfs.diff_ids` must be digests.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| Error::Invalid(format!("invalid image config: {error}")))?;
        if !value.is_object() {
            return Err(Error::Invalid(
                "invalid image config: not a JSON object".to_owned(),
            ));
        }
        let config = Self(Arc::new(value));
        config.diff_ids()?;
        Ok(config)
    }

    /// The whole document.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The runtime part (`config`), empty when absent.
    pub fn runtime(&self) -> Option<&Map<String, Value>> {
        self.0.get("config").and_then(Value::as_object)
    }

    /// The layers' digests, uncompressed, lowest first.
    pub fn diff_ids(&self) -> Result<Vec<Digest>> {
        let Some(list) = self.0.pointer("/rootfs/diff_ids") else {
            return Ok(Vec::new());
        };
        if list.is_null() {
            return Ok(Vec::new());
        }
        serde_json::from_value(list.clone()).map_err(|error| {
            Error::Invalid(format!("invalid image config: rootfs.diff_ids: {error}"))
        })
    }

    /// When the image was made, in RFC 3339, as the document says it.
    pub fn created(&self) -> Option<&str> {
        self.0.get("created").and_then(Value::as_str)
    }

    /// `amd64`, `arm64`, …; empty when the document does not say.
    pub fn architecture(&self) -> &str {
        self.top("architecture")
    }

    /// Variant of the architecture, as in `v8`; empty when the document does not say.
    pub fn variant(&self) -> &str {
        self.top("variant")
    }

    /// `linux`; empty when the document does not say.
    pub fn os(&self) -> &str {
        self.top("os")
    }

    /// Who made it; empty when the document does not say.
    pub fn author(&self) -> &str {
        self.top("author")
    }

    /// The platform of the document, with Docker's defaults for what it leaves out.
    pub fn platform(&self) -> Platform {
        let host = Platform::host();
        let or = |text: &str, default: &str| {
            if text.is_empty() {
                default.to_owned()
            } else {
                text.to_owned()
            }
        };
        Platform::normalised(
            &or(self.os(), &host.os),
            &or(self.architecture(), &host.architecture),
            Some(self.variant()).filter(|variant| !variant.is_empty()),
        )
    }

    /// How the image was built, oldest step first.
    pub fn history(&self) -> Vec<History> {
        self.0
            .get("history")
            .and_then(|value| Vec::deserialize(value).ok())
            .unwrap_or_default()
    }

    /// `Entrypoint`; `None` when absent or null. A bare string counts as a list of one.
    pub fn entrypoint(&self) -> Option<Vec<String>> {
        self.words("Entrypoint")
    }

    /// `Cmd`; `None` when absent or null.
    pub fn cmd(&self) -> Option<Vec<String>> {
        self.words("Cmd")
    }

    /// `Shell`: what the shell form of commands runs with.
    pub fn shell(&self) -> Option<Vec<String>> {
        self.words("Shell")
    }

    /// `OnBuild` triggers.
    pub fn on_build(&self) -> Vec<String> {
        self.words("OnBuild").unwrap_or_default()
    }

    /// `Env`, `NAME=value` each.
    pub fn env(&self) -> Vec<String> {
        self.words("Env").unwrap_or_default()
    }

    /// `User`, as written: a name or number, optionally `:group`. Empty means root.
    pub fn user(&self) -> &str {
        self.text("User")
    }

    /// `WorkingDir`; empty means `/`.
    pub fn working_dir(&self) -> &str {
        self.text("WorkingDir")
    }

    /// `StopSignal`, as written; empty means SIGTERM.
    pub fn stop_signal(&self) -> &str {
        self.text("StopSignal")
    }

    /// `ExposedPorts`: `80/tcp` each.
    pub fn exposed_ports(&self) -> Vec<String> {
        self.keys("ExposedPorts")
    }

    /// `Volumes`: paths in the container.
    pub fn volumes(&self) -> Vec<String> {
        self.keys("Volumes")
    }

    /// `Labels`.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.field("Labels")
            .and_then(|value| BTreeMap::deserialize(value).ok())
            .unwrap_or_default()
    }

    /// `Healthcheck`, when the image has one.
    pub fn healthcheck(&self) -> Option<Healthcheck> {
        self.field("Healthcheck")
            .and_then(|value| Healthcheck::deserialize(value).ok())
    }

    fn top(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn field(&self, name: &str) -> Option<&Value> {
        self.runtime()?.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> &str {
        self.field(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn keys(&self, name: &str) -> Vec<String> {
        match self.field(name) {
            Some(Value::Object(map)) => map.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    fn words(&self, name: &str) -> Option<Vec<String>> {
        match self.field(name)? {
            Value::String(word) => Some(vec![word.clone()]),
            list => Vec::deserialize(list).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DOCUMENT: &str = r#"{
        "architecture":"amd64","os":"linux","created":"2024-05-01T10:00:00.5Z","mystery":{"x":1},
        "config":{"Env":["A=1"],"Cmd":null,"Entrypoint":["/bin/x"],"ExposedPorts":{"80/tcp":{}},
          "Volumes":{"/data":{}},"Labels":{"k":"v"},"StopSignal":"SIGQUIT","User":"1000:5",
          "Healthcheck":{"Test":["CMD","true"],"Interval":5000000000},"Shell":["/bin/ash","-c"]},
        "history":[{"created_by":"ADD x"},{"created_by":"CMD","empty_layer":true}],
        "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;

    #[test]
    fn fields_are_read_and_unknown_ones_kept() {
        let config = ImageConfig::parse(DOCUMENT.as_bytes()).unwrap();
        assert_eq!(config.entrypoint().unwrap(), ["/bin/x"]);
        assert_eq!(config.cmd(), None);
        assert_eq!(config.env(), ["A=1"]);
        assert_eq!(config.exposed_ports(), ["80/tcp"]);
        assert_eq!(config.volumes(), ["/data"]);
        assert_eq!(config.labels()["k"], "v");
        assert_eq!(config.user(), "1000:5");
        assert_eq!(config.stop_signal(), "SIGQUIT");
        assert_eq!(config.healthcheck().unwrap().interval, 5_000_000_000);
        assert_eq!(config.shell().unwrap(), ["/bin/ash", "-c"]);
        assert_eq!(config.history().len(), 2);
        assert!(config.history()[1].empty_layer);
        assert_eq!(config.diff_ids().unwrap().len(), 1);
        assert_eq!(config.value()["mystery"]["x"], 1);
        assert_eq!(config.platform().to_string(), "linux/amd64");
    }

    #[test]
    fn an_empty_document_has_empty_fields() {
        let config = ImageConfig::parse(b"{}").unwrap();
        assert_eq!(config.entrypoint(), None);
        assert!(config.env().is_empty() && config.history().is_empty());
        assert!(config.diff_ids().unwrap().is_empty());
    }

    #[test]
    fn bad_documents_are_refused() {
        for bad in [
            "",
            "[]",
            "{",
            r#"{"rootfs":{"diff_ids":["md5:1"]}}"#,
            r#"{"rootfs":{"diff_ids":3}}"#,
        ] {
            assert!(ImageConfig::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
