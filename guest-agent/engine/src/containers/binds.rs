//! `-v SOURCE:PATH[:MODE]`.

use super::mounts::{PROPAGATIONS, volume};
use super::record::{MountPoint, VolumeWish};
use super::validate::clean_path;
use crate::{Error, VolumeRequest};

/// The bind mount or the volume of `-v SOURCE:PATH[:MODE]`.
pub(super) fn parse(text: &str, driver: &str) -> Result<MountPoint, Error> {
    // Docker answers all of these with status 500.
    let refused = |why: &str| {
        Err(Error::System(format!(
            "invalid volume specification: '{text}'{why}"
        )))
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match parts.as_slice() {
        // One that is absolute is an anonymous volume.
        [destination] if !destination.is_empty() => ("anonymous", *destination, ""),
        [source, destination] => (*source, *destination, ""),
        [source, destination, mode] => (*source, *destination, *mode),
        _ => return refused(""),
    };
    if source.is_empty() || destination.is_empty() || text.ends_with(':') {
        return refused("");
    }
    let Some(mode_read) = BindMode::read(mode) else {
        return Err(Error::System(format!("invalid mode: {mode}")));
    };
    let kind = if source.starts_with('/') {
        "bind"
    } else {
        "volume"
    };
    let config = |why: &str| {
        refused(&format!(
            ": invalid mount config for type \"{kind}\": {why}"
        ))
    };
    if !destination.starts_with('/') {
        return config(&format!(
            "invalid mount path: '{destination}' mount path must be absolute"
        ));
    }
    let destination = clean_path(destination);
    if destination == "/" {
        return config("invalid specification: destination can't be '/'");
    }
    if kind == "volume" {
        if mode_read.propagation.is_some() {
            return config("field BindOptions must not be specified");
        }
        return Ok(named_volume(source, destination, mode, &mode_read, driver));
    }
    if mode_read.nocopy {
        return config("field VolumeOptions must not be specified");
    }
    Ok(MountPoint {
        kind: "bind".into(),
        source: clean_path(source),
        destination,
        mode: mode.into(),
        rw: !mode_read.readonly,
        propagation: mode_read.propagation.unwrap_or_default().into(),
        non_recursive: mode_read.non_recursive,
        ..MountPoint::default()
    })
}

/// The third part of `-v`.
#[derive(Debug, Default)]
struct BindMode<'a> {
    readonly: bool,
    nocopy: bool,
    non_recursive: bool,
    propagation: Option<&'a str>,
}

impl<'a> BindMode<'a> {
    /// Reads it; nothing for an unknown word, or two of a kind.
    fn read(text: &'a str) -> Option<Self> {
        let mut mode = Self::default();
        let mut kinds = Vec::new();
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let kind = match word {
                "ro" | "rw" => "access",
                "z" | "Z" => "label",
                "cached" | "delegated" | "consistent" | "default" => "consistency",
                "nocopy" => "copy",
                "bind" | "rbind" => "recursion",
                word if PROPAGATIONS.contains(&word) => "propagation",
                _ => return None,
            };
            if kinds.contains(&kind) {
                return None;
            }
            kinds.push(kind);
            mode.readonly |= word == "ro";
            mode.nocopy |= word == "nocopy";
            mode.non_recursive |= word == "bind";
            if kind == "propagation" {
                mode.propagation = Some(word);
            }
        }
        Some(mode)
    }
}

fn named_volume(
    name: &str,
    destination: String,
    text: &str,
    mode: &BindMode<'_>,
    driver: &str,
) -> MountPoint {
    let request = VolumeRequest {
        name: name.into(),
        driver: driver.into(),
        ..VolumeRequest::default()
    };
    let mut point = volume(destination, request);
    // Docker's default, whether the machine labels files or not.
    point.mode = if text.is_empty() { "z" } else { text }.into();
    point.rw = !mode.readonly;
    point.wish = point.wish.map(|wish| VolumeWish {
        nocopy: mode.nocopy,
        ..wish
    });
    point
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn binds_are_parsed_as_docker_does() {
        let parse = |text| super::parse(text, "");
        let point = parse("/a/../b:/c/:ro,rshared").unwrap();
        assert_eq!(
            (point.source.as_str(), point.destination.as_str()),
            ("/b", "/c")
        );
        assert!(!point.rw);
        assert_eq!(point.propagation, "rshared");
        for bad in [
            "/a:/b:/c:/d",
            "/a:",
            ":/b",
            "/a:b",
            "/a:/",
            "/a:/b:wat",
            "/a:/b:ro,rw",
            "/a:/b:nocopy",
            "v:/b:rshared",
        ] {
            assert!(matches!(parse(bad), Err(Error::System(_))), "{bad}");
        }
        let point = parse("vol:/b:ro,nocopy").unwrap();
        let wish = point.wish.unwrap();
        assert_eq!((wish.request.name.as_str(), wish.nocopy), ("vol", true));
        assert!(!point.rw && !point.anonymous && point.kind == "volume");
    }
}
