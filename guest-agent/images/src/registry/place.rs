//! Where a registry is: by which scheme and under which address it is dialled.

use std::net::IpAddr;

use crate::{Access, Result};

pub(super) const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

/// Where a registry is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) scheme: &'static str,
    /// `host[:port]` as the name says it.
    pub(super) authority: String,
    /// `host[:port]` to dial, when that is another.
    pub(super) dial: String,
}

/// A registry before anyone has tried it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// The places to try, in order.
    pub(super) places: Vec<Place>,
    pub(super) local: bool,
    pub(super) insecure: bool,
    /// A mirror gets no credentials: they are the registry's own.
    pub(super) mirror: bool,
}

impl Place {
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}/v2/{path}", self.scheme, self.dial)
    }

    /// As a person would type it.
    pub(super) fn shown(&self, path: &str) -> String {
        format!("{}://{}/v2/{path}", self.scheme, self.authority)
    }
}

/// The registry of a domain.
pub(super) fn registry(domain: &str, access: &Access) -> Candidate {
    let authority = if domain == HUB { HUB_HOST } else { domain };
    let local = is_local(authority);
    let insecure = local || access.registries.is_insecure(authority);
    let schemes: &[&'static str] = match (local, insecure) {
        (true, _) => &["http", "https"],
        (_, true) => &["https", "http"],
        _ => &["https"],
    };
    candidate(authority, schemes, insecure, false, access)
}

/// Its mirrors.
pub(super) fn mirrors(domain: &str, access: &Access) -> Result<Vec<Candidate>> {
    let mirrors = access.registries.mirrors_of(domain);
    mirrors
        .map(|mirror| {
            let (scheme, authority) = super::settings::parse_mirror(mirror)?;
            let insecure = is_local(&authority) || access.registries.is_insecure(&authority);
            Ok(candidate(&authority, &[scheme], insecure, true, access))
        })
        .collect()
}

fn candidate(
    authority: &str,
    schemes: &[&'static str],
    insecure: bool,
    mirror: bool,
    access: &Access,
) -> Candidate {
    let local = is_local(authority);
    let dial = match access.localhost_alias {
        Some(alias) if local => with_host(authority, alias),
        _ => authority.to_owned(),
    };
    let places = schemes.iter().map(|scheme| Place {
        scheme,
        authority: authority.to_owned(),
        dial: dial.clone(),
    });
    Candidate {
        places: places.collect(),
        local,
        insecure,
        mirror,
    }
}

pub(super) fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    }
}

/// The names that Docker lets speak plain HTTP unasked.
fn is_local(authority: &str) -> bool {
    let host = host(authority);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn with_host(authority: &str, address: IpAddr) -> String {
    let port = authority.strip_prefix('[').map_or_else(
        || authority.rsplit_once(':').map(|(_, port)| port),
        |rest| rest.rsplit_once("]:").map(|(_, port)| port),
    );
    let address = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    port.map_or_else(|| address.clone(), |port| format!("{address}:{port}"))
}

/// The same URL, dialled from inside the machine when it is the person's own computer's.
pub(super) fn dialled(url: &reqwest::Url, access: &Access) -> (reqwest::Url, Option<String>) {
    let mut dialled = url.clone();
    if let (Some(alias), Some(host)) = (access.localhost_alias, url.host_str())
        && is_local(host)
        && dialled.set_ip_host(alias).is_ok()
    {
        return (dialled, Some(url.authority().to_owned()));
    }
    (dialled, None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn local_registries_are_known() {
        for local in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
        ] {
            assert!(is_local(local), "{local}");
        }
        for other in [
            "registry-1.docker.io",
            "128.0.0.1:5000",
            "localhost.example",
            "10.0.2.2:5000",
        ] {
            assert!(!is_local(other), "{other}");
        }
    }

    #[test]
    fn the_alias_takes_the_port_along() {
        let alias = "10.0.2.2".parse().unwrap();
        assert_eq!(with_host("localhost:5000", alias), "10.0.2.2:5000");
        assert_eq!(with_host("127.0.0.1", alias), "10.0.2.2");
        assert_eq!(with_host("[::1]:5000", alias), "10.0.2.2:5000");
        assert_eq!(
            with_host("localhost:1", "fd00::1".parse().unwrap()),
            "[fd00::1]:1"
        );
    }
}
