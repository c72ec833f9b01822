//! `--volumes-from`: the mounts of other containers.

use super::HostConfig;
use super::record::MountPoint;
use crate::{Engine, Error};

impl Engine {
    /// The mounts of all containers that are named.
    pub(crate) fn volumes_from(&self, host: &HostConfig) -> Result<Vec<MountPoint>, Error> {
        let mut points: Vec<MountPoint> = Vec::new();
        for text in host.volumes_from.iter().flatten() {
            let (name, writable) = parse(text)?;
            let other = self
                .container(name)
                .map_err(|error| Error::Invalid(error.to_string()))?;
            let theirs = other.lock().record.mounts.clone();
            for mut point in theirs {
                point.rw &= writable;
                // The later of two at the same place counts.
                points.retain(|known| known.destination != point.destination);
                points.push(point);
            }
        }
        Ok(points)
    }
}

/// `NAME`, `NAME:ro`, `NAME:rw`, `NAME:z`.
fn parse(text: &str) -> Result<(&str, bool), Error> {
    if text.is_empty() {
        return Err(Error::Invalid(
            "volumes-from specification cannot be an empty string".into(),
        ));
    }
    let (name, mode) = text.split_once(':').unwrap_or((text, ""));
    let mut writable = true;
    for option in mode.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => writable = false,
            "rw" | "z" | "Z" => {}
            // Propagation and copying belong to the container that the mounts come from.
            _ => return Err(Error::Invalid(format!("invalid mode: {mode}"))),
        }
    }
    Ok((name, writable))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_and_modes() {
        assert_eq!(parse("data").unwrap(), ("data", true));
        assert_eq!(parse("data:ro").unwrap(), ("data", false));
        assert_eq!(parse("data:rw,z").unwrap(), ("data", true));
        for (bad, message) in [
            ("", "volumes-from specification cannot be an empty string"),
            ("data:what", "invalid mode: what"),
            ("data:rshared", "invalid mode: rshared"),
            ("data:nocopy", "invalid mode: nocopy"),
        ] {
            assert_eq!(parse(bad).unwrap_err().to_string(), message);
        }
    }
}
