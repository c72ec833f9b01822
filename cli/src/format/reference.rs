//! Names of images as people write them.

use std::fmt;

/// A name of an image in its familiar form: Docker Hub's prefix left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// `busybox`, `org/app`, `host:5000/app`.
    pub(crate) name: String,
    /// The tag, if it says one.
    pub(crate) tag: Option<String>,
    /// `sha256:…`, if it says one.
    pub(crate) digest: Option<String>,
}

impl Reference {
    /// Parses a name.
    ///
    /// # Errors
    /// Docker's words when it is not a name of an image.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const INVALID: &str = "invalid reference format";
        if is_id(text) {
            return Err(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            ));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (host, path) = match name.split_once('/') {
            Some((host, path))
                if host.contains(['.', ':'])
                    || host == "localhost"
                    || host.chars().any(|char| char.is_ascii_uppercase()) =>
            {
                (Some(host), path)
            }
            _ => (None, name),
        };
        if path.chars().any(|char| char.is_ascii_uppercase()) {
            let path = if host.is_none() && !path.contains('/') {
                format!("library/{path}")
            } else {
                path.to_owned()
            };
            return Err(format!(
                "{INVALID}: repository name ({path}) must be lowercase"
            ));
        }
        let parts_good = path.split('/').all(is_component);
        let tag_good = tag.is_none_or(is_tag);
        let digest_good = digest.is_none_or(is_digest);
        let host_good = host.is_none_or(is_host);
        if !(parts_good && tag_good && digest_good && host_good) {
            return Err(INVALID.to_owned());
        }
        let name = match host {
            Some("docker.io" | "index.docker.io") => {
                path.strip_prefix("library/").unwrap_or(path).to_owned()
            }
            Some(host) => format!("{host}/{path}"),
            None => path.strip_prefix("library/").unwrap_or(path).to_owned(),
        };
        Ok(Self {
            name,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// Whether it says neither a tag nor a digest.
    pub(crate) fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The same with `latest` where nothing is said.
    pub(crate) fn or_latest(mut self) -> Self {
        if self.is_name_only() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// With Docker Hub's prefix: `docker.io/library/busybox:latest`.
    pub(crate) fn full(&self) -> String {
        let first = self.name.split_once('/').map(|(first, _)| first);
        match first {
            None => format!("docker.io/library/{self}"),
            Some(first) if first.contains(['.', ':']) || first == "localhost" => self.to_string(),
            Some(_) => format!("docker.io/{self}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether it is a whole id (or a digest without its algorithm) and not a name.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_component(part: &str) -> bool {
    let edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = part.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        })
        && !part.contains("..")
        && !part.contains("___")
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag
            .bytes()
            .all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.starts_with(|char: char| char.is_ascii_alphabetic())
            && hex.len() >= 32
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let port_good =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    !name.is_empty()
        && port_good
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'[' | b']' | b':')
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn familiar_names() {
        for (text, familiar, full) in [
            (
                "busybox",
                "busybox:latest",
                "docker.io/library/busybox:latest",
            ),
            (
                "docker.io/library/busybox:1",
                "busybox:1",
                "docker.io/library/busybox:1",
            ),
            ("org/app", "org/app:latest", "docker.io/org/app:latest"),
            (
                "localhost:5000/a/b:x",
                "localhost:5000/a/b:x",
                "localhost:5000/a/b:x",
            ),
            ("ghcr.io/a/b", "ghcr.io/a/b:latest", "ghcr.io/a/b:latest"),
        ] {
            let reference = Reference::parse(text).unwrap().or_latest();
            assert_eq!(reference.to_string(), familiar);
            assert_eq!(reference.full(), full);
        }
        let digest = format!("a@sha256:{}", "0".repeat(64));
        assert_eq!(
            Reference::parse(&digest).unwrap().or_latest().to_string(),
            digest
        );
    }

    #[test]
    fn what_is_not_a_name() {
        assert_eq!(
            Reference::parse("BusyBox").unwrap_err(),
            "invalid reference format: repository name (library/BusyBox) must be lowercase"
        );
        for text in ["", ":x", "a:", "a b", "a/", "-a", "a@sha256:12", "a..b"] {
            assert_eq!(
                Reference::parse(text).unwrap_err(),
                "invalid reference format",
                "{text}"
            );
        }
        assert!(Reference::parse(&"a".repeat(64)).is_err());
    }
}
