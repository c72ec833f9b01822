//! What is wrong with a container's place on a network, with dockerd's words.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::Subnet;

use super::ipam::joined;
use super::{EndpointIpam, EndpointSettings, IpamConfig, NetworkRecord};
use crate::{Engine, Error};

/// Checks a place on the network of that name; `network` is the network itself where there is one.
///
/// # Errors
/// With all that is wrong, behind `invalid endpoint settings:`.
pub(crate) fn check_endpoint(
    network: Option<&NetworkRecord>,
    name: &str,
    settings: &EndpointSettings,
) -> Result<(), Error> {
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let mut problems = Vec::new();
    if matches!(name, "bridge" | "host" | "none" | "default") {
        if !(ipam.ipv4_address.is_empty() && ipam.ipv6_address.is_empty()) {
            problems.push(
                "user specified IP address is supported on user defined networks only".to_owned(),
            );
        }
        if settings.aliases.iter().flatten().next().is_some() {
            problems.push(
                "network-scoped alias is supported only for containers in user defined networks"
                    .to_owned(),
            );
        }
    }
    check_addresses(&ipam, &mut problems);
    // The default bridge has its subnet once it is needed.
    let known = |network: &&NetworkRecord| name != "bridge" || !given(network).is_empty();
    if let Some(network) = network.filter(known) {
        problems.extend(outside(network, &ipam.ipv4_address, true));
        problems.extend(outside(network, &ipam.ipv6_address, false));
    }
    super::options::mac(&settings.mac_address)?;
    let options = settings.driver_opts.as_ref();
    if let Some(text) = options.and_then(|all| all.get("com.docker.network.endpoint.sysctls")) {
        problems.extend(text.split(',').filter(|s| !is_sysctl(s)).map(|sysctl| {
            format!(
                "unrecognised network interface sysctl '{sysctl}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        }));
    }
    joined("invalid endpoint settings:\n", &problems)
}

impl Engine {
    /// Checks the places that a container that is being made wants, by the networks' names. A network
    /// need not be there yet.
    ///
    /// # Errors
    /// With all that is wrong.
    pub(crate) fn check_endpoints(
        &self,
        wanted: &BTreeMap<String, EndpointSettings>,
    ) -> Result<(), Error> {
        let problems = wanted.iter().filter_map(|(name, settings)| {
            let network = self.networks.find(name).ok();
            let problem = check_endpoint(network.as_ref(), name, settings).err()?;
            Some(format!("invalid config for network {name}: {problem}"))
        });
        joined("", &problems.collect::<Vec<_>>())
    }
}

fn check_addresses(ipam: &EndpointIpam, problems: &mut Vec<String>) {
    let good = |text: &str, fits: fn(&IpAddr) -> bool| {
        let ip = text.parse::<IpAddr>().ok();
        ip.is_some_and(|ip| fits(&ip) && !ip.is_unspecified())
    };
    if !ipam.ipv4_address.is_empty() && !good(&ipam.ipv4_address, IpAddr::is_ipv4) {
        problems.push(format!("invalid IPv4 address: {}", ipam.ipv4_address));
    }
    let ipv6 = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none());
    if !ipam.ipv6_address.is_empty() && !good(&ipam.ipv6_address, ipv6) {
        problems.push(format!("invalid IPv6 address: {}", ipam.ipv6_address));
    }
    for text in ipam.link_local_ips.iter().flatten() {
        let local = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if !good(text, local) {
            problems.push(format!("invalid link-local IP address: {text}"));
        }
    }
}

/// Addresses can be asked for in subnets that were asked for.
fn outside(network: &NetworkRecord, text: &str, ipv4: bool) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let ip = text.parse::<IpAddr>().ok();
    let mut subnets = given(network)
        .iter()
        .filter_map(|config| config.subnet.parse::<Subnet>().ok())
        .filter(|subnet| subnet.is_ipv4() == ipv4)
        .peekable();
    if subnets.peek().is_none() {
        return Some(
            "user specified IP address is supported only when connecting to networks with user configured subnets"
                .into(),
        );
    }
    let inside = ip.is_some_and(|ip| subnets.any(|subnet| subnet.contains(ip)));
    (!inside).then(|| format!("no configured subnet or ip-range contain the IP address {text}"))
}

/// The subnets that were asked for; the default bridge's count as that, and those of networks that an
/// older engine has made.
fn given(network: &NetworkRecord) -> &[IpamConfig] {
    let asked = network.given.as_ref().or(network.ipam.config.as_ref());
    asked.map_or(&[], Vec::as_slice)
}

/// `net.X.Y.IFNAME.Z=V`
fn is_sysctl(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(5, '.').collect();
    matches!(
        parts[..],
        [_, "ipv4" | "ipv6" | "mpls", _, "IFNAME" | "ifname", _]
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn problems_have_dockerds_words() {
        let ip = |ipv4: &str| EndpointSettings {
            ipam_config: Some(EndpointIpam {
                ipv4_address: ipv4.into(),
                ..EndpointIpam::default()
            }),
            ..EndpointSettings::default()
        };
        let mac = EndpointSettings {
            mac_address: "x".into(),
            ..EndpointSettings::default()
        };
        for (name, settings, message) in [
            (
                "net",
                ip("x"),
                "invalid endpoint settings:\ninvalid IPv4 address: x",
            ),
            (
                "bridge",
                ip("::1"),
                "invalid endpoint settings:\n* user specified IP address is supported on user defined networks only\n* invalid IPv4 address: ::1",
            ),
            ("net", mac, "invalid MAC address x"),
        ] {
            let error = check_endpoint(None, name, &settings).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        check_endpoint(None, "net", &ip("10.1.2.3")).unwrap();
    }
}
