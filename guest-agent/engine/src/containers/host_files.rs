//! The three files that Docker mounts over a container's own: `/etc/hosts`, `/etc/hostname`,
//! `/etc/resolv.conf`.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use runtime::spec::{Mount, MountKind};

use super::{Record, validate};
use crate::Error;

/// What the files are made from.
pub(crate) struct Facts<'a> {
    /// The container.
    pub(crate) record: &'a Record,
    /// Where it finds names.
    pub(crate) surroundings: Surroundings,
}

/// Where a container finds names.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Name servers of the network.
    pub(crate) resolvers: network::Resolvers,
    /// It asks our own name server, which knows the others.
    pub(crate) own_names: bool,
    /// What `host-gateway` in `--add-host` means.
    pub(crate) gateway: Option<IpAddr>,
    /// Containers that it is linked to, with their names here.
    pub(crate) links: Vec<(IpAddr, String)>,
}

/// Checks the name servers of a container's own choice, with the words of Go's parser.
pub(crate) fn check_servers(record: &Record) -> Result<(), Error> {
    for text in record.host_config.dns.iter().flatten() {
        if let Err(why) = parse_address(text) {
            return Err(Error::System(format!(
                "bad nameserver address {text}: ParseAddr({text:?}): {why}"
            )));
        }
    }
    Ok(())
}

fn parse_address(text: &str) -> Result<IpAddr, &'static str> {
    let why = match text.find(['.', ':', '%']).map(|at| text.as_bytes()[at]) {
        Some(b'.') if text.split('.').count() < 4 => "IPv4 address too short",
        Some(b'.') if text.split('.').count() > 4 => "IPv4 address too long",
        Some(b'.') => "IPv4 field has value >255",
        Some(b'%') => "missing IPv6 address",
        _ => "unable to parse IP",
    };
    let (address, zone) = text.split_once('%').unwrap_or((text, "-"));
    let parsed = address.parse::<IpAddr>().ok();
    let zoned = |ip: &IpAddr| ip.is_ipv6() || address == text;
    parsed.filter(|ip| zoned(ip) && !zone.is_empty()).ok_or(why)
}

/// Writes the files into the container's directory and returns their mounts. Blocks.
pub(crate) fn prepare(dir: &Path, facts: &Facts<'_>) -> Result<Vec<Mount>, Error> {
    let record = facts.record;
    let host_network = record.host_config.network_mode == "host";
    let hosts = if host_network {
        machine_file("/etc/hosts").map(|text| text + &extra_hosts(facts))
    } else {
        None
    };
    let resolv = if host_network && !has_dns(record) {
        machine_file("/etc/resolv.conf")
    } else {
        None
    };
    let files = [
        (
            "resolv.conf",
            "/etc/resolv.conf",
            resolv.unwrap_or_else(|| resolv_conf(facts)),
        ),
        (
            "hostname",
            "/etc/hostname",
            format!("{}\n", record.config.hostname),
        ),
        (
            "hosts",
            "/etc/hosts",
            hosts.unwrap_or_else(|| hosts_file(facts)),
        ),
    ];
    let mut mounts = Vec::new();
    for (name, target, content) in files {
        let path = dir.join(name);
        fs::write(&path, content).map_err(|e| Error::file("writing", &path, e))?;
        // The user's own mount over the same file wins.
        if !record
            .mounts
            .iter()
            .any(|m| validate::clean_path(&m.destination) == target)
        {
            mounts.push(bind(path, target, record.host_config.readonly_rootfs));
        }
    }
    Ok(mounts)
}

/// Writes `/etc/hosts` and `/etc/resolv.conf` anew for a container that runs, in the files that it
/// has mounted. Blocks.
pub(crate) fn rewrite(dir: &Path, facts: &Facts<'_>) -> Result<(), Error> {
    for (name, content) in [
        ("resolv.conf", resolv_conf(facts)),
        ("hosts", hosts_file(facts)),
    ] {
        let path = dir.join(name);
        if path.exists() {
            fs::write(&path, content).map_err(|e| Error::file("writing", &path, e))?;
        }
    }
    Ok(())
}

/// The mounts of the three files of another container whose network this one shares.
pub(crate) fn shared(other: &Path, readonly: bool) -> Vec<Mount> {
    [
        ("resolv.conf", "/etc/resolv.conf"),
        ("hostname", "/etc/hostname"),
        ("hosts", "/etc/hosts"),
    ]
    .into_iter()
    .map(|(name, target)| bind(other.join(name), target, readonly))
    .collect()
}

fn bind(source: PathBuf, target: &str, readonly: bool) -> Mount {
    Mount {
        kind: MountKind::Bind,
        source,
        target: target.into(),
        readonly,
        options: vec!["rprivate".into(), "rbind".into()],
    }
}

fn machine_file(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn has_dns(record: &Record) -> bool {
    let host = &record.host_config;
    [&host.dns, &host.dns_search, &host.dns_options]
        .into_iter()
        .flatten()
        .flatten()
        .next()
        .is_some()
}

fn resolv_conf(facts: &Facts<'_>) -> String {
    let host = &facts.record.host_config;
    let chosen = |own: &Option<Vec<String>>, theirs: Vec<String>| match own {
        Some(own) if !own.is_empty() => own.clone(),
        _ => theirs,
    };
    let servers = facts
        .surroundings
        .resolvers
        .servers
        .iter()
        .map(ToString::to_string)
        .collect();
    let servers = match facts.surroundings.own_names {
        true => vec!["127.0.0.11".to_owned()],
        false => chosen(&host.dns, servers),
    };
    let search = chosen(
        &host.dns_search,
        facts.surroundings.resolvers.search.clone(),
    );
    let mut options = chosen(
        &host.dns_options,
        facts.surroundings.resolvers.options.clone(),
    );
    if facts.surroundings.own_names && !options.iter().any(|option| option.starts_with("ndots:")) {
        options.push("ndots:0".to_owned());
    }
    let mut text = String::from("# Generated by Slipway.\n");
    for server in servers {
        text += &format!("nameserver {server}\n");
    }
    // `--dns-search .` means none.
    let search: Vec<_> = search.into_iter().filter(|domain| domain != ".").collect();
    if !search.is_empty() {
        text += &format!("search {}\n", search.join(" "));
    }
    if !options.is_empty() {
        text += &format!("options {}\n", options.join(" "));
    }
    text
}

fn hosts_file(facts: &Facts<'_>) -> String {
    let record = facts.record;
    let mut text = String::from("127.0.0.1\tlocalhost\n");
    if !record.host_config.is_without_ipv6() {
        text += "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
    }
    text += &extra_hosts(facts);
    for (address, names) in &facts.surroundings.links {
        text += &format!("{address}\t{names}\n");
    }
    if let Some(gateway) = facts.surroundings.gateway {
        text += &format!("{gateway}\thost.docker.internal gateway.docker.internal\n");
    }
    for address in record
        .networks
        .values()
        .filter_map(|attachment| attachment.endpoint.as_ref())
        .flat_map(network::Endpoint::addresses)
    {
        // A domain may be given apart or with the name; both the whole and the first part are known.
        let config = &record.config;
        let mut names = config.hostname.clone();
        if !config.domainname.is_empty() {
            names += &format!(".{}", config.domainname);
        }
        if let Some((first, _)) = names.clone().split_once('.') {
            names += &format!(" {first}");
        }
        text += &format!("{}\t{names}\n", address.ip);
    }
    text
}

fn extra_hosts(facts: &Facts<'_>) -> String {
    let mut text = String::new();
    for extra in facts.record.host_config.extra_hosts.iter().flatten() {
        let Some((name, address)) = extra.split_once([':', '=']) else {
            continue;
        };
        let address = address.trim_start_matches('[').trim_end_matches(']');
        match (address, facts.surroundings.gateway) {
            ("host-gateway", Some(gateway)) => text += &format!("{gateway}\t{name}\n"),
            ("host-gateway", None) => {}
            _ => text += &format!("{address}\t{name}\n"),
        }
    }
    text
}
