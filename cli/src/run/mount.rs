//! `--mount`: `type=bind,source=…,target=…` and the many options of each type.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::memory;
use super::volume::absolute;

/// A mount as the API takes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Mount {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    source: String,
    target: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    consistency: String,
    #[serde(rename = "VolumeOptions", skip_serializing_if = "Option::is_none")]
    volume: Option<VolumeOptions>,
    #[serde(flatten)]
    options: BTreeMap<&'static str, Map<String, Value>>,
}

/// What is special about a volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeOptions {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_copy: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    subpath: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver_config: Option<VolumeDriver>,
}

/// Who makes a volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeDriver {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<String, String>,
}

const BIND: &str = "BindOptions";
const TMPFS: &str = "TmpfsOptions";
const IMAGE: &str = "ImageOptions";

/// Parses a word.
///
/// # Errors
/// Docker's words.
pub(crate) fn parse(word: &str) -> Result<Mount, String> {
    let mut mount = Mount {
        kind: "volume".to_owned(),
        ..Mount::default()
    };
    for field in fields(word)? {
        match field.split_once('=') {
            Some((key, value)) => mount.set(&key.to_lowercase(), value, &field)?,
            None => match field.to_lowercase().as_str() {
                "readonly" | "ro" => mount.read_only = true,
                "volume-nocopy" => mount.volume().no_copy = true,
                "bind-nonrecursive" => mount.option(BIND, "NonRecursive", json!(true)),
                key => return Err(format!("invalid field '{key}' must be a key=value pair")),
            },
        }
    }
    mount.check()?;
    Ok(mount)
}

impl Mount {
    fn option(&mut self, group: &'static str, name: &str, value: Value) {
        let group = self.options.entry(group).or_default();
        group.insert(name.to_owned(), value);
    }

    fn set(&mut self, key: &str, value: &str, field: &str) -> Result<(), String> {
        let invalid = || format!("invalid value for {key}: {value}");
        match key {
            "type" => self.kind = value.to_lowercase(),
            "source" | "src" => self.source = absolute(value),
            "target" | "dst" | "destination" => value.clone_into(&mut self.target),
            "readonly" | "ro" => self.read_only = boolean(value).ok_or_else(invalid)?,
            "consistency" => self.consistency = value.to_lowercase(),
            "bind-propagation" => self.option(BIND, "Propagation", json!(value.to_lowercase())),
            "bind-nonrecursive" => {
                let on = boolean(value).ok_or_else(invalid)?;
                self.option(BIND, "NonRecursive", json!(on));
            }
            "bind-recursive" => match value {
                "enabled" => {}
                "disabled" => self.option(BIND, "NonRecursive", json!(true)),
                "writable" => self.option(BIND, "ReadOnlyNonRecursive", json!(true)),
                "readonly" => self.option(BIND, "ReadOnlyForceRecursive", json!(true)),
                _ => {
                    return Err(format!(
                        "{} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
                        invalid()
                    ));
                }
            },
            "volume-subpath" => value.clone_into(&mut self.volume().subpath),
            "volume-nocopy" => self.volume().no_copy = boolean(value).ok_or_else(invalid)?,
            "volume-label" => pair(&mut self.volume().labels, value),
            "volume-driver" => value.clone_into(&mut self.driver().name),
            "volume-opt" => pair(&mut self.driver().options, value),
            "image-subpath" => self.option(IMAGE, "Subpath", json!(value)),
            "tmpfs-size" => {
                let size = memory::bytes(value).map_err(|_| invalid())?;
                self.option(TMPFS, "SizeBytes", json!(size));
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8).map_err(|_| invalid())?;
                self.option(TMPFS, "Mode", json!(mode));
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }

    fn volume(&mut self) -> &mut VolumeOptions {
        self.volume.get_or_insert_default()
    }

    fn driver(&mut self) -> &mut VolumeDriver {
        self.volume().driver_config.get_or_insert_default()
    }

    fn check(&self) -> Result<(), String> {
        if self.kind.is_empty() {
            return Err("type is required".to_owned());
        }
        if self.target.is_empty() {
            return Err("target is required".to_owned());
        }
        for (given, kind) in [
            (self.volume.is_some(), "volume"),
            (self.options.contains_key(IMAGE), "image"),
            (self.options.contains_key(BIND), "bind"),
            (self.options.contains_key(TMPFS), "tmpfs"),
        ] {
            if given && self.kind != kind {
                return Err(format!(
                    "cannot mix '{kind}-*' options with mount type '{}'",
                    self.kind
                ));
            }
        }
        let Some(bind) = self.options.get(BIND) else {
            return Ok(());
        };
        let needs = |option: &str, other: &str| {
            Err(format!(
                "option 'bind-recursive={option}' requires '{other}' to be specified in conjunction"
            ))
        };
        if bind.contains_key("ReadOnlyNonRecursive") && !self.read_only {
            return needs("writable", "readonly");
        }
        if bind.contains_key("ReadOnlyForceRecursive") {
            if !self.read_only {
                return needs("readonly", "readonly");
            }
            if bind.get("Propagation") != Some(&json!("rprivate")) {
                return needs("readonly", "bind-propagation=rprivate");
            }
        }
        Ok(())
    }
}

/// Adds `k=v` to a map.
fn pair(map: &mut BTreeMap<String, String>, pair: &str) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    if !key.is_empty() {
        map.insert(key.to_owned(), value.to_owned());
    }
}

/// One record of comma-separated values; a field in double quotes may hold commas.
pub(super) fn fields(word: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = word;
    if word.is_empty() {
        return Err("EOF".to_owned());
    }
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut tail = quoted;
            loop {
                let (part, after) = tail
                    .split_once('"')
                    .ok_or_else(|| format!("parse error: a quote is not closed in {word}"))?;
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        tail = after;
                    }
                    None => {
                        tail = after;
                        break;
                    }
                }
            }
            fields.push(field);
            match tail.strip_prefix(',') {
                Some(after) => rest = after,
                None if tail.is_empty() => return Ok(fields),
                None => return Err(format!("parse error: text after a quote in {word}")),
            }
        } else {
            let (field, after) = match rest.split_once(',') {
                Some((field, after)) => (field, Some(after)),
                None => (rest, None),
            };
            if field.contains('"') {
                return Err(format!(
                    "parse error: bare \" in non-quoted-field in {word}"
                ));
            }
            fields.push(field.to_owned());
            match after {
                Some(after) => rest = after,
                None => return Ok(fields),
            }
        }
    }
}

/// Go's `ParseBool`.
pub(super) fn boolean(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn json_of(word: &str) -> Value {
        serde_json::to_value(parse(word).unwrap()).unwrap()
    }

    #[test]
    fn types() {
        assert_eq!(
            json_of("type=bind,source=/a,target=/b,readonly,bind-propagation=RSLAVE"),
            json!({"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true,
                   "BindOptions": {"Propagation": "rslave"}})
        );
        assert_eq!(
            json_of(
                "src=v,dst=/b,volume-nocopy,volume-label=a=1,volume-driver=local,volume-opt=o=x"
            ),
            json!({"Type": "volume", "Source": "v", "Target": "/b", "VolumeOptions": {
                "NoCopy": true, "Labels": {"a": "1"},
                "DriverConfig": {"Name": "local", "Options": {"o": "x"}}}})
        );
        assert_eq!(
            json_of("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777"),
            json!({"Type": "tmpfs", "Target": "/t",
                   "TmpfsOptions": {"SizeBytes": 1_048_576, "Mode": 0o1777}})
        );
        assert_eq!(
            json_of("type=bind,\"source=/a,b\",target=/c"),
            json!({"Type": "bind", "Source": "/a,b", "Target": "/c"})
        );
    }

    #[test]
    fn mistakes() {
        for (word, error) in [
            ("type=bind,source=/a", "target is required"),
            ("type=,target=/a", "type is required"),
            (
                "target=/a,oops",
                "invalid field 'oops' must be a key=value pair",
            ),
            ("target=/a,nope=1", "unexpected key 'nope' in 'nope=1'"),
            ("target=/a,ro=maybe", "invalid value for ro: maybe"),
            (
                "type=tmpfs,target=/a,tmpfs-size=x",
                "invalid value for tmpfs-size: x",
            ),
            (
                "type=tmpfs,target=/a,tmpfs-mode=9",
                "invalid value for tmpfs-mode: 9",
            ),
            (
                "type=bind,target=/a,volume-nocopy",
                "cannot mix 'volume-*' options with mount type 'bind'",
            ),
            (
                "type=bind,target=/a,bind-recursive=writable",
                "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
            ),
        ] {
            assert_eq!(parse(word).unwrap_err(), error, "{word}");
        }
    }
}
