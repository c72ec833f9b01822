//! `--device-read-bps` and its kind, `--blkio-weight-device`, `--gpus`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::memory;

/// How much may be read from or written to a device in a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Throttle {
    path: String,
    rate: u64,
}

/// The weight of a container on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Weight {
    path: String,
    weight: u16,
}

/// A wish for devices of a driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Gpus {
    driver: String,
    count: i64,
    #[serde(rename = "DeviceIDs")]
    device_ids: Option<Vec<String>>,
    capabilities: Vec<Vec<String>>,
    options: BTreeMap<String, String>,
}

/// The node and what is behind the colon.
fn split(word: &str) -> Result<(&str, &str), String> {
    let (path, value) = word
        .split_once(':')
        .ok_or_else(|| format!("bad format: {word}"))?;
    if path.starts_with("/dev/") {
        Ok((path, value))
    } else {
        Err(format!("bad format for device path: {word}"))
    }
}

/// `PATH:RATE` with a size in bytes a second: `/dev/vda:1mb`.
///
/// # Errors
/// Docker's words.
pub(crate) fn bytes(word: &str) -> Result<Throttle, String> {
    let (path, rate) = split(word)?;
    let invalid = || {
        format!(
            "invalid rate for device: {word}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        )
    };
    let rate = memory::bytes(rate).map_err(|_| invalid())?;
    Ok(Throttle {
        path: path.to_owned(),
        rate: u64::try_from(rate).map_err(|_| invalid())?,
    })
}

/// `PATH:RATE` with operations a second.
///
/// # Errors
/// Docker's words.
pub(crate) fn operations(word: &str) -> Result<Throttle, String> {
    let (path, rate) = split(word)?;
    let rate = rate.parse().map_err(|_| {
        format!(
            "invalid rate for device: {word}. The correct format is <device-path>:<number>. Number must be a positive integer"
        )
    })?;
    Ok(Throttle {
        path: path.to_owned(),
        rate,
    })
}

/// `PATH:WEIGHT`.
///
/// # Errors
/// Docker's words.
pub(crate) fn weight(word: &str) -> Result<Weight, String> {
    let (path, weight) = split(word)?;
    let weight = weight
        .parse()
        .ok()
        .filter(|weight| *weight == 0 || (10..=1000).contains(weight))
        .ok_or_else(|| format!("invalid weight for device: {word}"))?;
    Ok(Weight {
        path: path.to_owned(),
        weight,
    })
}

/// `all`, a number, or `count=2,driver=x,capabilities=a,device=0`.
///
/// # Errors
/// What is wrong.
pub(crate) fn gpus(word: &str) -> Result<Gpus, String> {
    let mut gpus = Gpus::default();
    let mut capabilities = vec!["gpu".to_owned()];
    let count = |text: &str| match text {
        "all" => Ok(-1),
        _ => text.parse().map_err(|_| {
            format!("invalid count ({text}): value must be either \"all\" or an integer")
        }),
    };
    gpus.count = 1;
    for field in word.split(',') {
        match field.split_once('=') {
            None => gpus.count = count(field)?,
            Some(("count", value)) => gpus.count = count(value)?,
            Some(("driver", value)) => value.clone_into(&mut gpus.driver),
            Some(("device", value)) => {
                gpus.device_ids
                    .get_or_insert_default()
                    .push(value.to_owned());
                gpus.count = 0;
            }
            Some(("capabilities", value)) => capabilities.push(value.to_owned()),
            Some(("options", value)) => {
                let (key, value) = value.split_once('=').unwrap_or((value, ""));
                gpus.options.insert(key.to_owned(), value.to_owned());
            }
            Some((key, _)) => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    capabilities.sort();
    capabilities.dedup();
    gpus.capabilities = vec![capabilities];
    Ok(gpus)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

    use super::*;

    #[test]
    fn rates_and_weights() {
        assert_eq!(bytes("/dev/vda:1mb").unwrap().rate, 1 << 20);
        assert_eq!(operations("/dev/vda:100").unwrap().rate, 100);
        assert_eq!(weight("/dev/vda:500").unwrap().weight, 500);
        assert!(bytes("/dev/vda:x").unwrap_err().starts_with("invalid rate"));
        assert!(operations("/dev/vda:1k").is_err());
        assert_eq!(
            weight("/dev/vda:5").unwrap_err(),
            "invalid weight for device: /dev/vda:5"
        );
        assert_eq!(
            bytes("vda:1").unwrap_err(),
            "bad format for device path: vda:1"
        );
        assert_eq!(bytes("/dev/vda").unwrap_err(), "bad format: /dev/vda");
    }

    #[test]
    fn gpus_are_counted_or_named() {
        assert_eq!(gpus("all").unwrap().count, -1);
        assert_eq!(gpus("2").unwrap().count, 2);
        let named = gpus("device=0,driver=nvidia,capabilities=compute").unwrap();
        assert_eq!(named.count, 0);
        assert_eq!(named.driver, "nvidia");
        assert_eq!(named.device_ids.unwrap(), ["0"]);
        assert_eq!(named.capabilities, [["compute", "gpu"]]);
        assert!(gpus("many").is_err());
    }
}
