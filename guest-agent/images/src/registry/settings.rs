//! What a person sets for registries, under the names that Docker's `daemon.json` has for it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Settings for all registries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Registries {
    /// Registries (`host[:port]`, or an address range in CIDR notation) that may speak plain HTTP
    /// or show any certificate, besides localhost and 127.0.0.0/8.
    pub insecure_registries: Vec<String>,
    /// Where Docker Hub's images are asked for first: URLs.
    pub registry_mirrors: Vec<String>,
    /// The same for other registries, by `host[:port]`.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Proxies on the way to registries.
    pub proxies: Proxies,
    /// Authorities to trust besides the system's, as PEM.
    pub certificates: String,
    /// PEM files of trusted authorities, instead of the system's usual places.
    #[serde(skip)]
    pub ca_bundles: Vec<PathBuf>,
}

/// Proxies, as the usual environment variables name them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Proxies {
    /// For plain HTTP.
    pub http_proxy: String,
    /// For HTTPS.
    pub https_proxy: String,
    /// Hosts that are reached directly, separated by commas.
    pub no_proxy: String,
}

impl Registries {
    /// Refuses what could not work.
    pub fn check(&self) -> Result<()> {
        let lists = self.mirrors.values().flatten();
        for mirror in self.registry_mirrors.iter().chain(lists) {
            parse_mirror(mirror)?;
        }
        for proxy in [&self.proxies.http_proxy, &self.proxies.https_proxy] {
            if !proxy.is_empty() && reqwest::Proxy::all(proxy.as_str()).is_err() {
                return Err(Error::invalid(format!(
                    "invalid proxy {proxy:?}: expected a URL such as http://proxy.example:3128"
                )));
            }
        }
        Ok(())
    }

    /// Whether a registry may speak plain HTTP or show any certificate.
    pub(super) fn is_insecure(&self, authority: &str) -> bool {
        let host = super::place::host(authority);
        let address: Option<IpAddr> = host.parse().ok();
        self.insecure_registries.iter().any(|allowed| {
            allowed == authority
                || allowed == host
                || address.is_some_and(|address| in_range(address, allowed))
        })
    }

    /// The mirrors of a registry.
    pub(super) fn mirrors_of(&self, domain: &str) -> impl Iterator<Item = &String> {
        let hub = domain == super::place::HUB;
        let for_hub = self.registry_mirrors.iter().filter(move |_| hub);
        for_hub.chain(self.mirrors.get(domain).into_iter().flatten())
    }
}

/// A mirror's scheme and authority.
pub(super) fn parse_mirror(mirror: &str) -> Result<(&'static str, String)> {
    let bad = || {
        Error::invalid(format!(
            "invalid mirror {mirror:?}: expected http://host[:port] or https://host[:port]"
        ))
    };
    let url = reqwest::Url::parse(mirror).map_err(|_| bad())?;
    let scheme = match url.scheme() {
        "http" => "http",
        "https" => "https",
        _ => return Err(bad()),
    };
    let host = url.host_str().filter(|host| !host.is_empty());
    let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    let host = host.filter(|_| plain).ok_or_else(bad)?;
    Ok((
        scheme,
        match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        },
    ))
}

/// Whether an address is in `a.b.c.d/n`.
fn in_range(address: IpAddr, range: &str) -> bool {
    let Some((network, bits)) = range.split_once('/') else {
        return false;
    };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn insecure_registries_are_names_or_ranges() {
        let settings = Registries {
            insecure_registries: [
                "10.1.0.0/16",
                "reg.example:5000",
                "plain.example",
                "fd00::/8",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Registries::default()
        };
        for insecure in [
            "10.1.2.3:5000",
            "10.1.0.1",
            "reg.example:5000",
            "plain.example:80",
            "[fd00::1]:5000",
        ] {
            assert!(settings.is_insecure(insecure), "{insecure}");
        }
        for secure in ["10.2.0.1", "reg.example:5001", "other.example"] {
            assert!(!settings.is_insecure(secure), "{secure}");
        }
    }

    #[test]
    fn settings_are_dockers() {
        let text = r#"{"insecure-registries":["a:1"],"registry-mirrors":["http://m:5000"],
            "proxies":{"http-proxy":"http://p:3128","no-proxy":"localhost"}}"#;
        let settings: Registries = serde_json::from_str(text).unwrap();
        settings.check().unwrap();
        assert_eq!(settings.mirrors_of("docker.io").count(), 1);
        assert_eq!(settings.mirrors_of("quay.io").count(), 0);
        for bad in ["m:5000", "ftp://m", "http://m/path"] {
            let settings = Registries {
                registry_mirrors: vec![bad.to_owned()],
                ..Registries::default()
            };
            assert!(settings.check().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Registries>(r#"{"insecure":[]}"#).is_err());
    }
}
