//! What a container wants published.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use network::{Protocol, Spec};

use super::Bound;
use crate::Error;
use crate::containers::{HostConfig, PortBinding, Record};

/// All addresses of either kind.
const BOTH: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// Labels by which Compose tells replicas of one service.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

/// One wish.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Want {
    /// The container's port.
    pub(super) port: u16,
    pub(super) protocol: Protocol,
    /// The machine's address; all when nothing is said.
    host: Option<IpAddr>,
    /// The machine's ports to choose from; any when nothing is said.
    ports: Option<RangeInclusive<u16>>,
}

/// Everything that a container wants published, checked.
pub(super) fn all(record: &Record) -> Result<Vec<Want>, Error> {
    let mut wants = Vec::new();
    let exposed = record.config.exposed_ports.keys();
    let exposed: Vec<(u16, Protocol)> = exposed.filter_map(|key| parse_key(key).ok()).collect();
    for (key, bindings) in record.host_config.published() {
        let (port, protocol) = parse_key(key)?;
        // As Docker does: a port that is not exposed is not published either.
        if !exposed.contains(&(port, protocol)) {
            continue;
        }
        let bindings = bindings.iter().flatten();
        for binding in bindings {
            wants.push(one(port, protocol, binding)?);
        }
    }
    if record.host_config.publish_all_ports {
        for (port, protocol) in exposed {
            let known = wants
                .iter()
                .any(|want: &Want| want.port == port && want.protocol == protocol);
            if !known {
                wants.push(one(port, protocol, &PortBinding::default())?);
            }
        }
    }
    wants.sort_by_key(|want| (want.protocol, want.port));
    Ok(wants)
}

/// Has wishes that leave the choice take what they were given before.
pub(super) fn keep(wants: &mut [Want], given: &BTreeMap<String, Vec<Bound>>) {
    for place in 0..wants.len() {
        let want = &wants[place];
        let named = |port: u16| {
            let exactly = Some(port..=port);
            wants
                .iter()
                .any(|other| other.protocol == want.protocol && other.ports == exactly)
        };
        let fits = |port: &u16| want.ports.as_ref().is_none_or(|ports| ports.contains(port));
        let given = given.get(&want.key()).into_iter().flatten();
        let kept = given
            .filter_map(|bound| bound.host_port.parse().ok())
            .find(|port| fits(port) && !named(*port));
        if let Some(port) = kept {
            wants[place].ports = Some(port..=port);
        }
    }
}

/// Checks wishes before anything is made.
pub(crate) fn check(host: &HostConfig) -> Result<(), Error> {
    for (key, bindings) in host.published() {
        let (port, protocol) = parse_key(key)?;
        for binding in bindings.iter().flatten() {
            one(port, protocol, binding)?;
        }
    }
    Ok(())
}

/// `80/tcp`.
pub(super) fn parse_key(key: &str) -> Result<(u16, Protocol), Error> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let number = port
        .parse::<u16>()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| Error::Invalid(format!("invalid port specification: \"{port}\"")))?;
    let protocol = Protocol::parse(&protocol.to_ascii_lowercase())
        .ok_or_else(|| Error::Invalid(format!("invalid protocol: {protocol}")))?;
    Ok((number, protocol))
}

fn one(port: u16, protocol: Protocol, binding: &PortBinding) -> Result<Want, Error> {
    let host = match binding.host_ip.trim_matches(['[', ']']) {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| Error::Invalid(format!("invalid IP address: {}", binding.host_ip)))?,
        ),
    };
    let wrong = || {
        Error::Invalid(format!(
            "invalid port specification: \"{}\"",
            binding.host_port
        ))
    };
    let ports = match binding.host_port.as_str() {
        "" | "0" => None,
        text => {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let first: u16 = first.parse().map_err(|_| wrong())?;
            let last: u16 = last.parse().map_err(|_| wrong())?;
            if first > last || first == 0 {
                return Err(wrong());
            }
            Some(first..=last)
        }
    };
    Ok(Want {
        port,
        protocol,
        host,
        ports,
    })
}

impl Want {
    /// `80/tcp`.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.port, self.protocol.name())
    }

    /// The host's addresses to listen on.
    pub(super) fn addresses(&self, spec: &Spec, ipv6: bool) -> Vec<IpAddr> {
        let mut hosts = match self.host.or(spec.publish_on) {
            Some(host) => vec![host],
            None if ipv6 && self.protocol != Protocol::Sctp => BOTH.to_vec(),
            None => vec![BOTH[0]],
        };
        hosts.retain(|host| !spec.is_routed(host.is_ipv4()));
        hosts
    }

    /// The kinds of the container's own addresses under which the port is open instead.
    pub(super) fn routed(&self, spec: &Spec) -> impl Iterator<Item = IpAddr> {
        let named = self.host.or(spec.publish_on);
        BOTH.into_iter()
            .filter(|kind| spec.is_routed(kind.is_ipv4()))
            .filter(move |kind| named.is_none_or(|host| host.is_ipv4() == kind.is_ipv4()))
    }

    /// The ports to choose from; any when nothing is said.
    pub(super) fn range(&self) -> Option<(u16, u16)> {
        let ports = self.ports.as_ref()?;
        Some((*ports.start(), *ports.end()))
    }

    /// Ports to try, in order.
    pub(super) fn candidates(&self) -> Box<dyn Iterator<Item = u16> + '_> {
        match &self.ports {
            Some(ports) => Box::new(ports.clone()),
            None => {
                let (first, last) = ephemeral();
                let span = last - first + 1;
                let begin = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |since| since.subsec_nanos());
                let begin = (begin / 1000) as u16 % span.max(1);
                Box::new((0..span).map(move |step| first + (begin + step) % span))
            }
        }
    }
}

/// Whether this system speaks IPv6 at all.
pub(super) fn has_ipv6() -> bool {
    std::fs::read_to_string("/proc/net/if_inet6").is_ok_and(|text| !text.is_empty())
}

/// The kernel's range for ports that nobody names, its second half: the first is for connections.
fn ephemeral() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let range = text.ok().and_then(|text| {
        let mut words = text.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    });
    let (first, last): (u16, u16) = range.unwrap_or((49_153, 65_535));
    (first + (last - first) / 2, last)
}

/// What replicas of one service have in common.
pub(super) fn replica_of(record: &Record, want: &Want) -> Option<String> {
    group_of(record, want.protocol, want.port)
}

/// The same by a port of the container.
pub(super) fn group_of(record: &Record, protocol: Protocol, port: u16) -> Option<String> {
    let labels = &record.config.labels;
    let (project, service) = (labels.get(PROJECT)?, labels.get(SERVICE)?);
    let protocol = protocol.name();
    Some(format!("{project}/{service}/{port}/{protocol}"))
}
