//! How fast a container's network may be: labels at create, and changes while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Engine, Error, blocking};

/// The label for what a container sends.
const EGRESS: &str = "slipway.net.egress";
/// The label for what it receives.
const INGRESS: &str = "slipway.net.ingress";

/// The least that is of any use: a packet takes more than a second below it.
const LEAST: u64 = 8_000;
/// More than any interface can do.
const MOST: u64 = 1_000_000_000_000;

/// How fast a container may send and receive, in bits a second; `None` is as fast as it gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// What it sends.
    pub egress: Option<u64>,
    /// What it receives.
    pub ingress: Option<u64>,
}

impl From<Bandwidth> for network::Bandwidth {
    fn from(bandwidth: Bandwidth) -> Self {
        Self {
            egress: bandwidth.egress,
            ingress: bandwidth.ingress,
        }
    }
}

impl Bandwidth {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(self) -> bool {
        self == Self::default()
    }

    /// What a container's labels ask for.
    pub(crate) fn from_labels(labels: &BTreeMap<String, String>) -> Result<Self, Error> {
        let rate = |label: &str| match labels.get(label) {
            None => Ok(None),
            Some(text) => parse(text)
                .map_err(|why| Error::Invalid(format!("invalid label {label}={text}: {why}"))),
        };
        Ok(Self {
            egress: rate(EGRESS)?,
            ingress: rate(INGRESS)?,
        })
    }

    /// The same with what is given changed; `none` lifts a limit.
    pub fn changed(self, egress: Option<&str>, ingress: Option<&str>) -> Result<Self, Error> {
        let rate = |text: Option<&str>, before| match text {
            None => Ok(before),
            Some(text) => parse(text)
                .map_err(|why| Error::Invalid(format!("invalid bandwidth \"{text}\": {why}"))),
        };
        Ok(Self {
            egress: rate(egress, self.egress)?,
            ingress: rate(ingress, self.ingress)?,
        })
    }
}

/// A rate in the units of tc(8): `10mbit`, `1.5gbit`, `500kbps` (bytes), a bare number of bits.
/// `none`, `unlimited` and `0` are no limit.
fn parse(text: &str) -> Result<Option<u64>, String> {
    let lower = text.trim().to_ascii_lowercase();
    if matches!(lower.as_str(), "none" | "unlimited" | "0") {
        return Ok(None);
    }
    let at = lower
        .find(|char: char| !char.is_ascii_digit() && char != '.')
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at(at);
    let example = "write it like 10mbit, 500kbit or 1gbit";
    let number: f64 = number
        .parse()
        .map_err(|_| format!("it does not begin with a number; {example}"))?;
    let scale: f64 = match unit {
        "" | "bit" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        "tbit" => 1e12,
        "kibit" => 1024.0,
        "mibit" => 1024.0 * 1024.0,
        "gibit" => 1024.0 * 1024.0 * 1024.0,
        "bps" => 8.0,
        "kbps" => 8e3,
        "mbps" => 8e6,
        "gbps" => 8e9,
        "tbps" => 8e12,
        _ => return Err(format!("the unit \"{unit}\" is not known; {example}")),
    };
    let bits = number * scale;
    // In range, so that the cast keeps it.
    if bits < LEAST as f64 || bits > MOST as f64 {
        return Err("it must be between 8kbit and 1tbit".into());
    }
    Ok(Some(bits as u64))
}

/// A rate as people write it.
#[must_use]
pub fn rate_text(bits: u64) -> String {
    for (scale, unit) in [
        (1_000_000_000, "gbit"),
        (1_000_000, "mbit"),
        (1_000, "kbit"),
    ] {
        if bits.is_multiple_of(scale) {
            return format!("{}{unit}", bits / scale);
        }
    }
    format!("{bits}bit")
}

impl Engine {
    /// How fast a container's network may be.
    pub fn container_bandwidth(&self, name: &str) -> Result<Bandwidth, Error> {
        Ok(self.container(name)?.lock().record.bandwidth)
    }

    /// Changes it, at once where the container runs.
    pub async fn set_container_bandwidth(
        self: &Arc<Self>,
        name: &str,
        egress: Option<String>,
        ingress: Option<String>,
    ) -> Result<Bandwidth, Error> {
        let container = self.container(name)?;
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            let (wanted, attached) = {
                let inner = container.lock();
                let record = &inner.record;
                let wanted = record
                    .bandwidth
                    .changed(egress.as_deref(), ingress.as_deref())?;
                let mode = record.host_config.network_mode.as_str();
                if !wanted.is_unlimited()
                    && (record.is_cut_off() || mode == "host" || mode.starts_with("container:"))
                {
                    return Err(Error::Conflict(format!(
                        "container {} has no network of its own to limit: its network mode is {mode}",
                        container.id
                    )));
                }
                (wanted, record.endpoint().is_some())
            };
            if attached {
                let network = engine.network().await?;
                let id = container.id.clone();
                blocking::run(move || Ok(network.limit(&id, &wanted.into())?)).await?;
            }
            container.lock().record.bandwidth = wanted;
            container.changed();
            container.save().await?;
            engine.container_event(&container, "update", &[]);
            Ok(wanted)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn rates_are_read_in_the_units_of_tc() {
        for (text, bits) in [
            ("10mbit", 10_000_000),
            ("500kbit", 500_000),
            ("1Gbit", 1_000_000_000),
            ("1.5mbit", 1_500_000),
            ("100kbps", 800_000),
            ("64000", 64_000),
        ] {
            assert_eq!(parse(text), Ok(Some(bits)), "{text}");
        }
        assert_eq!(parse("none"), Ok(None));
        for bad in [
            "",
            "fast",
            "10mb",
            "-1mbit",
            "1kbit",
            "9999gbit",
            "1.2.3mbit",
            "nanmbit",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(rate_text(10_000_000), "10mbit");
        assert_eq!(rate_text(1_500), "1500bit");
    }

    #[test]
    fn a_wrong_label_says_what_is_right() {
        let labels = BTreeMap::from([(EGRESS.to_owned(), "10mb".to_owned())]);
        let error = Bandwidth::from_labels(&labels).unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid label slipway.net.egress=10mb: the unit \"mb\" is not known; write it like 10mbit, 500kbit or 1gbit"
        );
    }

    #[test]
    fn a_change_leaves_the_other_direction() {
        let before = Bandwidth {
            egress: Some(1),
            ingress: Some(2),
        };
        let after = before.changed(Some("none"), None).unwrap();
        assert_eq!((after.egress, after.ingress), (None, Some(2)));
    }
}
