//! `--network`: a name, or `name=…,alias=…,ip=…` and so on.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::mount::fields;

/// A network to connect to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// `bridge`, `none`, `host`, `container:ID` or a network's name.
    pub(crate) name: String,
    aliases: Vec<String>,
    ipv4: Option<String>,
    ipv6: Option<String>,
    mac: Option<String>,
    link_local: Vec<String>,
    driver_options: BTreeMap<String, String>,
    gateway_priority: i64,
}

/// Parses a word.
///
/// # Errors
/// Docker's words.
pub(crate) fn parse(word: &str) -> Result<Network, String> {
    let mut network = Network::default();
    if !word.contains('=') {
        word.clone_into(&mut network.name);
        return Ok(network);
    }
    for field in fields(word)? {
        let lower = field.to_lowercase();
        let (key, value) = lower
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("invalid field {field}"))?;
        let value = value.trim();
        match key.trim() {
            "name" => value.clone_into(&mut network.name),
            "alias" => network.aliases.push(value.to_owned()),
            "ip" => network.ipv4 = Some(value.to_owned()),
            "ip6" => network.ipv6 = Some(value.to_owned()),
            "mac-address" => network.mac = Some(mac(value)?),
            "link-local-ip" => network.link_local.push(value.to_owned()),
            "driver-opt" => {
                let (key, value) = value
                    .split_once('=')
                    .filter(|(key, _)| !key.is_empty())
                    .ok_or("invalid key value pair format in driver options")?;
                let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                network.driver_options.insert(key, value);
            }
            "gw-priority" => {
                network.gateway_priority = value
                    .parse()
                    .map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
            }
            key => return Err(format!("invalid field key {key}")),
        }
    }
    if network.name.is_empty() {
        return Err("network name/id is not specified".to_owned());
    }
    Ok(network)
}

/// What `--network-alias`, `--ip`, `--ip6` and `--mac-address` say about the first network.
#[derive(Debug, Clone, Default)]
pub(crate) struct First<'a> {
    pub(crate) aliases: &'a [String],
    pub(crate) ipv4: Option<&'a str>,
    pub(crate) ipv6: Option<&'a str>,
    pub(crate) mac: Option<&'a str>,
}

/// The API's `EndpointsConfig`; networks of which nothing is said are left out.
///
/// # Errors
/// Docker's words, when flags contradict each other.
pub(crate) fn endpoints(
    networks: &[Network],
    first: &First<'_>,
) -> Result<Map<String, Value>, String> {
    let mut networks = networks.to_vec();
    if networks.is_empty() {
        networks.push(Network {
            name: "default".to_owned(),
            ..Network::default()
        });
    }
    let single = networks.len() == 1;
    let user_defined = networks.iter().filter(|n| n.is_user_defined()).count();
    if user_defined > 0 && user_defined < networks.len() {
        return Err(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                .to_owned(),
        );
    }
    if let Some(network) = networks.first_mut() {
        network.take(first)?;
    }
    let mut endpoints = Map::new();
    for network in networks {
        if !network.is_user_defined() && !network.aliases.is_empty() {
            return Err(
                "network-scoped aliases are only supported for user-defined networks".to_owned(),
            );
        }
        if endpoints.contains_key(&network.name) {
            return Err(format!(
                "network {:?} is specified multiple times",
                network.name
            ));
        }
        let settings = network.settings();
        if !(single && settings.is_empty()) {
            endpoints.insert(network.name, Value::Object(settings));
        }
    }
    Ok(endpoints)
}

impl Network {
    fn is_user_defined(&self) -> bool {
        !matches!(
            self.name.as_str(),
            "default" | "bridge" | "host" | "none" | "nat"
        ) && !self.name.starts_with("container:")
    }

    fn take(&mut self, first: &First<'_>) -> Result<(), String> {
        let conflict = |flag: &str, option: &str| {
            Err(format!(
                "conflicting options: cannot specify both {flag} and per-network {option}"
            ))
        };
        if !first.aliases.is_empty() {
            if !self.aliases.is_empty() {
                return conflict("--network-alias", "alias");
            }
            self.aliases = first.aliases.to_vec();
        }
        if let Some(ip) = first.ipv4 {
            if self.ipv4.is_some() {
                return conflict("--ip", "IPv4 address");
            }
            self.ipv4 = Some(ip.to_owned());
        }
        if let Some(ip) = first.ipv6 {
            if self.ipv6.is_some() {
                return conflict("--ip6", "IPv6 address");
            }
            self.ipv6 = Some(ip.to_owned());
        }
        if let Some(address) = first.mac {
            if self.mac.is_some() {
                return conflict("--mac-address", "MAC address");
            }
            self.mac = Some(mac(address)?);
        }
        Ok(())
    }

    fn settings(&self) -> Map<String, Value> {
        let mut settings = Map::new();
        if !self.aliases.is_empty() {
            settings.insert("Aliases".into(), json!(self.aliases));
        }
        if !self.driver_options.is_empty() {
            settings.insert("DriverOpts".into(), json!(self.driver_options));
        }
        let mut ipam = Map::new();
        if let Some(ip) = &self.ipv4 {
            ipam.insert("IPv4Address".into(), json!(ip));
        }
        if let Some(ip) = &self.ipv6 {
            ipam.insert("IPv6Address".into(), json!(ip));
        }
        if !self.link_local.is_empty() {
            ipam.insert("LinkLocalIPs".into(), json!(self.link_local));
        }
        if !ipam.is_empty() {
            settings.insert("IPAMConfig".into(), Value::Object(ipam));
        }
        if let Some(mac) = &self.mac {
            settings.insert("MacAddress".into(), json!(mac));
        }
        if self.gateway_priority != 0 {
            settings.insert("GwPriority".into(), json!(self.gateway_priority));
        }
        settings
    }
}

/// Checks a hardware address: six pairs of hexadecimal digits.
pub(crate) fn mac(word: &str) -> Result<String, String> {
    let pairs: Vec<&str> = word.trim().split([':', '-']).collect();
    let good = |pair: &&str| pair.len() == 2 && u8::from_str_radix(pair, 16).is_ok();
    if pairs.len() == 6 && pairs.iter().all(good) {
        Ok(word.trim().to_owned())
    } else {
        Err(format!("{word} is not a valid mac address"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_and_long_form() {
        assert_eq!(parse("host").unwrap().name, "host");
        let network = parse("name=web,alias=a,alias=b,ip=10.0.0.2,driver-opt=k=v").unwrap();
        assert_eq!(
            Value::Object(endpoints(&[network], &First::default()).unwrap()),
            json!({"web": {"Aliases": ["a", "b"], "DriverOpts": {"k": "v"},
                           "IPAMConfig": {"IPv4Address": "10.0.0.2"}}})
        );
        assert_eq!(
            parse("alias=a").unwrap_err(),
            "network name/id is not specified"
        );
        assert_eq!(parse("name=a,x=1").unwrap_err(), "invalid field key x");
    }

    #[test]
    fn nothing_said_is_nothing_sent() {
        let bridge = parse("bridge").unwrap();
        assert!(endpoints(&[bridge], &First::default()).unwrap().is_empty());
        assert!(endpoints(&[], &First::default()).unwrap().is_empty());
    }

    #[test]
    fn contradictions() {
        let aliases = ["x".to_owned()];
        let first = First {
            aliases: &aliases,
            ..First::default()
        };
        assert!(
            endpoints(&[], &first)
                .unwrap_err()
                .contains("user-defined networks")
        );
        let both = [parse("web").unwrap(), parse("host").unwrap()];
        assert!(endpoints(&both, &First::default()).is_err());
        let twice = [parse("web").unwrap(), parse("web").unwrap()];
        assert_eq!(
            endpoints(&twice, &First::default()).unwrap_err(),
            "network \"web\" is specified multiple times"
        );
        assert!(mac("92:d0:c6:0a:29:33").is_ok());
        assert!(mac("92:d0").is_err());
    }
}
