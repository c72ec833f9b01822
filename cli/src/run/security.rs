//! `--security-opt`, `--device` and `--restart`.

use std::path::Path;

use serde::Serialize;

use super::env::reason;

/// The options as the engine takes them, and whether `systempaths=unconfined` was among them (it
/// means: hide nothing of /proc and /sys).
///
/// # Errors
/// Docker's words.
pub(crate) fn options(words: &[String]) -> Result<(Vec<String>, bool), String> {
    let mut options = Vec::new();
    let mut unconfined = false;
    for word in words {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None if word == "no-new-privileges" => (word.as_str(), None),
            None => match word.split_once(':') {
                Some((key, value)) => (key, Some(value)),
                None => (word.as_str(), None),
            },
        };
        if value.is_none_or(str::is_empty) && key != "no-new-privileges" {
            return Err(format!("Invalid --security-opt: {word:?}"));
        }
        match (key, value) {
            ("seccomp", Some(file)) if !matches!(file, "builtin" | "unconfined") => {
                options.push(format!("seccomp={}", profile(Path::new(file))?));
            }
            ("systempaths", Some("unconfined")) => unconfined = true,
            _ => options.push(word.clone()),
        }
    }
    Ok((options, unconfined))
}

/// A seccomp profile's JSON in one line: the engine can't read this machine's files.
fn profile(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!(
            "opening seccomp profile ({}) failed: open {}: {}",
            path.display(),
            path.display(),
            reason(&error)
        )
    })?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        format!(
            "compacting json for seccomp profile ({}) failed: {error}",
            path.display()
        )
    })?;
    Ok(json.to_string())
}

/// A device as the API takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Device {
    path_on_host: String,
    path_in_container: String,
    cgroup_permissions: String,
}

/// Parses `--device`: `HOST[:CONTAINER][:PERMISSIONS]`.
///
/// # Errors
/// Docker's words.
pub(crate) fn device(word: &str) -> Result<Device, String> {
    let parts: Vec<&str> = word.split(':').collect();
    let (host, container, permissions) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, mode] if is_mode(mode) => (*host, *host, *mode),
        [host, container] => (*host, *container, "rwm"),
        [host, container, mode] if is_mode(mode) => (*host, *container, *mode),
        [_, _, mode] => return Err(format!("bad mode specified: {mode}")),
        _ => return Err(format!("bad format for path: {word}")),
    };
    if host.is_empty() {
        return Err(format!("bad format for path: {word}"));
    }
    if !container.starts_with('/') {
        return Err(format!("{container} is not an absolute path"));
    }
    Ok(Device {
        path_on_host: host.to_owned(),
        path_in_container: container.to_owned(),
        cgroup_permissions: permissions.to_owned(),
    })
}

fn is_mode(mode: &str) -> bool {
    let once = |letter| mode.matches(letter).count() <= 1;
    !mode.is_empty() && mode.chars().all(|char| "rwm".contains(char)) && "rwm".chars().all(once)
}

/// What to do when a container ends, as the API takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Restart {
    name: String,
    maximum_retry_count: i64,
}

impl Restart {
    /// Whether the container stays ended.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self.name.as_str(), "" | "no")
    }
}

/// Parses `--restart`: `no`, `always`, `unless-stopped`, `on-failure[:COUNT]`.
///
/// # Errors
/// Docker's words.
pub(crate) fn restart(word: &str) -> Result<Restart, String> {
    let (name, count) = match word.split_once(':') {
        Some(("", _)) => {
            return Err(
                "invalid restart policy format: no policy provided before colon".to_owned(),
            );
        }
        Some((name, count)) => (name, count),
        None => (word, ""),
    };
    let maximum_retry_count = if count.is_empty() {
        0
    } else {
        count.parse().map_err(|_| {
            "invalid restart policy format: maximum retry count must be an integer".to_owned()
        })?
    };
    Ok(Restart {
        name: name.to_owned(),
        maximum_retry_count,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn security() {
        let given = words(&[
            "no-new-privileges",
            "seccomp=unconfined",
            "systempaths=unconfined",
        ]);
        assert_eq!(
            options(&given),
            Ok((words(&["no-new-privileges", "seccomp=unconfined"]), true))
        );
        assert_eq!(
            options(&words(&["seccomp"])),
            Err("Invalid --security-opt: \"seccomp\"".into())
        );
        assert_eq!(
            options(&words(&["seccomp=/no/such"])),
            Err("opening seccomp profile (/no/such) failed: open /no/such: no such file or directory".into())
        );
    }

    #[test]
    fn devices() {
        let parts = |word: &str| {
            device(word).map(|d| (d.path_on_host, d.path_in_container, d.cgroup_permissions))
        };
        let three = |a: &str, b: &str, c: &str| Ok((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(parts("/dev/a"), three("/dev/a", "/dev/a", "rwm"));
        assert_eq!(parts("/dev/a:r"), three("/dev/a", "/dev/a", "r"));
        assert_eq!(parts("/dev/a:/dev/b:rw"), three("/dev/a", "/dev/b", "rw"));
        assert_eq!(
            parts("/dev/a:/dev/b:rr"),
            Err("bad mode specified: rr".into())
        );
        assert_eq!(parts("/dev/a:b"), Err("b is not an absolute path".into()));
    }

    #[test]
    fn restarts() {
        assert_eq!(restart("on-failure:3").unwrap().maximum_retry_count, 3);
        assert!(restart("no").unwrap().is_none());
        assert!(!restart("always").unwrap().is_none());
        assert!(restart(":3").unwrap_err().contains("no policy provided"));
        assert!(
            restart("on-failure:x")
                .unwrap_err()
                .contains("must be an integer")
        );
    }
}
