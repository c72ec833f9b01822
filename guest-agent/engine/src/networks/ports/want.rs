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
    let exposed: Vec<_> = exposed.map(|key| Key::read(key)).collect();
    for (text, bindings) in record.host_config.published() {
        let key = Key::read(text);
        // As Docker does: a port that is not exposed is not published either.
        if !exposed.contains(&key) {
            continue;
        }
        for binding in bindings.iter().flatten() {
            wants.push(one(key, binding)?);
        }
    }
    if record.host_config.publish_all_ports {
        for key in exposed {
            let known = |want: &Want| want.port == key.port && Some(want.protocol) == key.protocol;
            if !wants.iter().any(known) {
                wants.push(one(key, &PortBinding::default())?);
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

/// Checks the numbers in wishes before anything is made. What the rest means shows with the start.
pub(crate) fn check(host: &HostConfig) -> Result<(), Error> {
    let wrong = |text: &str| Error::Invalid(format!("invalid port specification: \"{text}\""));
    for (key, bindings) in host.published() {
        let (port, _) = split(key);
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return Err(wrong(port));
        }
        for binding in bindings.iter().flatten() {
            range(&binding.host_port).ok_or_else(|| wrong(&binding.host_port))?;
        }
    }
    Ok(())
}

/// A container's port as a key names it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Key {
    /// 0 where it is no number.
    pub(super) port: u16,
    /// Nothing where nobody knows it.
    pub(super) protocol: Option<Protocol>,
}

impl Key {
    /// Reads `80/tcp`.
    pub(super) fn read(text: &str) -> Self {
        let (port, protocol) = split(text);
        Self {
            port: port.parse().unwrap_or(0),
            protocol: Protocol::parse(&protocol.to_ascii_lowercase()),
        }
    }
}

/// `80/tcp` as Docker shows it, whatever the client has written: what it can't read is 0.
#[must_use]
pub fn port_key(text: &str) -> String {
    let Key { port, protocol } = Key::read(text);
    format!("{port}/{}", protocol.map_or("0", Protocol::name))
}

/// A port's text and its protocol, which need not be said of TCP; neither without a port.
fn split(text: &str) -> (&str, &str) {
    let mut parts = text.split('/');
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("", _) => ("", ""),
        (port, None | Some("")) => (port, "tcp"),
        (port, Some(protocol)) => (port, protocol),
    }
}

/// The ports of a binding: nothing inside for any, nothing at all when the text says none.
fn range(text: &str) -> Option<Option<RangeInclusive<u16>>> {
    let (text, _) = split(text);
    if text.is_empty() {
        return Some(None);
    }
    let mut parts = text.split('-').map(|part| part.parse::<u16>().ok());
    let first = parts.next()??;
    let last = parts.next().unwrap_or(Some(first))?;
    match (first, last) {
        (0, _) => Some(None),
        _ if first > last => None,
        _ => Some(Some(first..=last)),
    }
}

/// The host's address of a binding. What is no address would be all of them in Docker, which is more than
/// anybody asked for.
fn address(text: &str) -> Result<Option<IpAddr>, Error> {
    match text.trim().trim_matches(['[', ']']) {
        "" => Ok(None),
        address => address.parse().map(Some).map_err(|_| {
            Error::Invalid(format!(
                "invalid IP address to publish a port at: \"{text}\""
            ))
        }),
    }
}

fn one(key: Key, binding: &PortBinding) -> Result<Want, Error> {
    let protocol = key
        .protocol
        .ok_or_else(|| Error::System("unknown protocol".into()))?;
    Ok(Want {
        port: key.port,
        protocol,
        host: address(&binding.host_ip)?,
        ports: range(&binding.host_port).flatten(),
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
