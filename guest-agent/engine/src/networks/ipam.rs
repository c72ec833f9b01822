//! The subnets of a network that is being made: those that were asked for, checked with dockerd's
//! words, and those that are chosen.

use std::net::IpAddr;

use network::{Pool, Subnet};

use super::{IpamConfig, NetworkRecord};
use crate::{Engine, Error};

/// Joins problems as Go's multierror does; no problem is fine.
pub(super) fn joined(head: &str, problems: &[String]) -> Result<(), Error> {
    match problems {
        [] => Ok(()),
        [only] => Err(Error::Invalid(format!("{head}{}", only.trim()))),
        all => {
            let inner: Vec<String> = all.iter().map(|text| text.replace('\n', "\n\t")).collect();
            Err(Error::Invalid(format!("{head}* {}", inner.join("\n* "))))
        }
    }
}

/// An address and a prefix as they were written.
#[derive(Clone, Copy)]
struct Prefix {
    ip: IpAddr,
    len: u8,
}

impl Prefix {
    /// As strict as Go: no sign and no leading zero.
    fn parse(text: &str) -> Option<Self> {
        let (ip, len) = text.split_once('/')?;
        let plain =
            len.bytes().all(|b| b.is_ascii_digit()) && (len == "0" || !len.starts_with('0'));
        let ip: IpAddr = ip.parse().ok()?;
        let len: u8 = len.parse().ok().filter(|_| plain)?;
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        (len <= longest).then_some(Self { ip, len })
    }

    fn subnet(self) -> Subnet {
        Subnet::new(self.ip, self.len)
    }

    fn family(self) -> &'static str {
        if self.ip.is_ipv4() { "IPv4" } else { "IPv6" }
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.ip, self.len)
    }
}

/// Checks what was asked for.
pub(super) fn check(configs: &[IpamConfig], enable_ipv6: bool) -> Result<(), Error> {
    let mut problems = Vec::new();
    for config in configs {
        let text = &config.subnet;
        let Some(subnet) = Prefix::parse(text) else {
            problems.push(format!(
                "invalid subnet {text}: invalid CIDR block notation"
            ));
            continue;
        };
        if subnet.ip.is_ipv6() && !enable_ipv6 {
            continue;
        }
        if subnet.ip != subnet.subnet().base() {
            problems.push(format!(
                "invalid subnet {subnet}: it should be {}",
                subnet.subnet()
            ));
        }
        check_range(&config.ip_range, subnet, &mut problems);
        let mut addresses = vec![("gateway ", config.gateway.as_str(), &config.gateway)];
        for (name, ip) in &config.auxiliary_addresses {
            addresses.push(("auxiliary address ", name.as_str(), ip));
        }
        for (what, name, ip) in addresses {
            if let Some(problem) = address_problem(ip, subnet) {
                problems.push(format!("invalid {what}{name}: {problem}"));
            }
        }
    }
    joined("invalid network config:\n", &problems)
}

fn check_range(text: &str, subnet: Prefix, problems: &mut Vec<String>) {
    if text.is_empty() {
        return;
    }
    let mut say = |problem: String| problems.push(format!("invalid ip-range {text}: {problem}"));
    let Some(range) = Prefix::parse(text) else {
        return say("invalid CIDR block notation".into());
    };
    if range.family() != subnet.family() {
        return say(format!("parent subnet is an {} block", subnet.family()));
    }
    if range.len < subnet.len {
        say(format!(
            "CIDR block is bigger than its parent subnet {subnet}"
        ));
    }
    if range.ip != range.subnet().base() {
        say(format!("it should be {}", range.subnet()));
    }
    if !subnet.subnet().overlaps(&range.subnet()) {
        say(format!("parent subnet {subnet} doesn't contain ip-range"));
    }
}

fn address_problem(text: &str, subnet: Prefix) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let Ok(ip) = text.parse::<IpAddr>() else {
        return Some("invalid address".into());
    };
    if ip.is_ipv4() != subnet.ip.is_ipv4() {
        return Some(format!("parent subnet is an {} block", subnet.family()));
    }
    let inside = subnet.subnet().contains(ip);
    (!inside).then(|| format!("parent subnet {subnet} doesn't contain this address"))
}

/// Which families need no gateway.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NoGateway {
    pub(super) ipv4: bool,
    pub(super) ipv6: bool,
}

impl NoGateway {
    fn of(self, ipv4: bool) -> bool {
        if ipv4 { self.ipv4 } else { self.ipv6 }
    }
}

impl Engine {
    /// The subnets that were asked for, and one of each kind that is missing.
    pub(super) fn plan_pools(
        &self,
        record: &mut NetworkRecord,
        no_gateway: NoGateway,
        network: &network::Networks,
        taken: &[Subnet],
    ) -> Result<Vec<Pool>, Error> {
        let given = record.ipam.config.take().unwrap_or_default();
        if record.ipam.driver == "null" {
            return Err(Error::Invalid(match given.is_empty() {
                true => "ipv4 pool is empty".into(),
                false => "null ipam driver does not handle specific address pool requests".into(),
            }));
        }
        let mut pools: Vec<Pool> = Vec::new();
        let mut shown = of_family(&given, true);
        shown.extend(of_family(&given, false));
        for ipv4 in [true, false] {
            let enabled = if ipv4 {
                record.enable_ipv4
            } else {
                record.enable_ipv6
            };
            if !enabled {
                continue;
            }
            let wanted = of_family(&given, ipv4);
            for config in &wanted {
                let pool = pool(config, no_gateway.of(ipv4))?;
                let overlaps = |other: &Subnet| other.overlaps(&pool.subnet);
                if taken.iter().any(overlaps) || pools.iter().any(|p| overlaps(&p.subnet)) {
                    return Err(Error::Forbidden(
                        "invalid pool request: Pool overlaps with other one on this address space"
                            .into(),
                    ));
                }
                pools.push(pool);
            }
            if wanted.is_empty() {
                let mut all = taken.to_vec();
                all.extend(network.taken()?);
                let subnet = if ipv4 {
                    self.free_subnet(all)?
                } else {
                    self.free_subnet6(&record.id, all)?
                };
                let mut config = IpamConfig {
                    subnet: subnet.to_string(),
                    ..IpamConfig::default()
                };
                let pool = pool(&config, no_gateway.of(ipv4))?;
                config.gateway = pool.gateway.map_or_else(String::new, |ip| ip.to_string());
                shown.push(config);
                pools.push(pool);
            }
        }
        record.given = Some(given);
        record.ipam.config = Some(shown);
        Ok(pools)
    }
}

fn of_family(configs: &[IpamConfig], ipv4: bool) -> Vec<IpamConfig> {
    let belongs = |config: &&IpamConfig| {
        Prefix::parse(&config.subnet).is_some_and(|subnet| subnet.ip.is_ipv4() == ipv4)
    };
    configs.iter().filter(belongs).cloned().collect()
}

/// The pool of what was checked before.
fn pool(config: &IpamConfig, no_gateway: bool) -> Result<Pool, Error> {
    let mut pool = Pool {
        subnet: config.subnet.parse()?,
        range: match config.ip_range.as_str() {
            "" => None,
            text => Some(text.parse()?),
        },
        gateway: None,
        aux: Vec::new(),
    };
    pool.gateway = match config.gateway.parse::<IpAddr>() {
        Ok(ip) if pool.subnet.is_reserved(ip) => {
            return Err(Error::System(format!(
                "failed to allocate gateway ({ip}): Address already in use"
            )));
        }
        Ok(ip) => Some(ip),
        Err(_) if no_gateway => None,
        Err(_) => pool.addresses().next(),
    };
    for (name, text) in &config.auxiliary_addresses {
        let Ok(ip) = text.parse::<IpAddr>() else {
            continue;
        };
        if pool.gateway == Some(ip) || pool.aux.contains(&ip) || pool.subnet.is_reserved(ip) {
            return Err(Error::System(format!(
                "failed to allocate secondary ip address ({name}:{text}): Address already in use"
            )));
        }
        pool.aux.push(ip);
    }
    Ok(pool)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn config(subnet: &str, range: &str, gateway: &str) -> IpamConfig {
        IpamConfig {
            subnet: subnet.into(),
            ip_range: range.into(),
            gateway: gateway.into(),
            ..IpamConfig::default()
        }
    }

    #[test]
    fn problems_have_dockerds_words() {
        let net = "10.66.0.0/24";
        for (config, problems) in [
            (config(net, "10.66.0.128/25", "10.66.0.7"), ""),
            (
                config("", "", "10.0.0.1"),
                "invalid subnet : invalid CIDR block notation",
            ),
            (
                config("10.66.0.0/024", "", ""),
                "invalid subnet 10.66.0.0/024: invalid CIDR block notation",
            ),
            (
                config("10.66.0.5/24", "", "10.67.0.1"),
                "* invalid subnet 10.66.0.5/24: it should be 10.66.0.0/24\n* invalid gateway 10.67.0.1: parent subnet 10.66.0.5/24 doesn't contain this address",
            ),
            (
                config(net, "10.66.0.0/23", ""),
                "invalid ip-range 10.66.0.0/23: CIDR block is bigger than its parent subnet 10.66.0.0/24",
            ),
            (
                config(net, "10.66.0.5/25", ""),
                "invalid ip-range 10.66.0.5/25: it should be 10.66.0.0/25",
            ),
            (
                config(net, "fd00::/64", "fd00::1"),
                "* invalid ip-range fd00::/64: parent subnet is an IPv4 block\n* invalid gateway fd00::1: parent subnet is an IPv4 block",
            ),
            (
                config(net, "", "10.66.0.1/24"),
                "invalid gateway 10.66.0.1/24: invalid address",
            ),
            (config("fd00::5/64", "", ""), ""),
        ] {
            let found = check(&[config], false).err().map(|e| e.to_string());
            let wanted =
                (!problems.is_empty()).then(|| format!("invalid network config:\n{problems}"));
            assert_eq!(found, wanted);
        }
        assert!(check(&[config("fd00::5/64", "", "")], true).is_err());
    }

    #[test]
    fn a_gateway_is_the_first_that_is_free() {
        let gateway = |range: &str| {
            pool(&config("10.66.0.0/24", range, ""), false)
                .unwrap()
                .gateway
        };
        assert_eq!(gateway(""), Some([10, 66, 0, 1].into()));
        assert_eq!(gateway("10.66.0.0/25"), Some([10, 66, 0, 1].into()));
        assert_eq!(gateway("10.66.0.128/25"), Some([10, 66, 0, 128].into()));
        assert_eq!(
            pool(&config("10.66.0.0/24", "", ""), true).unwrap().gateway,
            None
        );
        assert!(pool(&config("10.66.0.0/24", "", "10.66.0.255"), false).is_err());
    }
}
