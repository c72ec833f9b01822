//! `--link` on the default bridge, which has no names of its own: the linked container's names in
//! `/etc/hosts`, and what it offers in variables. On other networks a link is one more name.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Config, Container, HostConfig, Record, RemoveRequest, Snapshot};
use crate::{Engine, Error};

/// The network whose containers don't find each other by name.
const BRIDGE: &str = "bridge";

/// What one container calls another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Id of the other one, which may be renamed.
    pub container: String,
    /// Its name here.
    pub alias: String,
}

/// A link's other end.
struct Linked {
    alias: String,
    container: Arc<Container>,
}

impl Linked {
    /// The full name of the link, as Docker tells it.
    fn name(&self, parent: &str) -> String {
        format!("/{parent}/{}", self.alias)
    }
}

impl Engine {
    /// Finds what a container that is made links to; the first of two links with one name counts.
    pub(crate) fn register_links(&self, host: &mut HostConfig) -> Result<Vec<Link>, Error> {
        if host.network_mode != BRIDGE {
            return Ok(Vec::new());
        }
        let mut links: Vec<Link> = Vec::new();
        for text in host.links.take().into_iter().flatten() {
            let (name, alias) = parse(&text)?;
            let container = self.container(name).map_err(|error| match error {
                Error::NotFound(why) => {
                    Error::Invalid(format!("could not get container for {name}: {why}"))
                }
                other => other,
            })?;
            let container = self.network_owner(container)?;
            if container.lock().record.host_config.network_mode == "host" {
                return Err(Error::Invalid(
                    "conflicting options: host type networking can't be used with links. This would result in undefined behavior".into(),
                ));
            }
            if !links.iter().any(|link| link.alias == alias) {
                links.push(Link {
                    container: container.id.clone(),
                    alias: alias.to_owned(),
                });
            }
        }
        Ok(links)
    }

    /// Whose network a container has: its own, or that of one that it has joined.
    fn network_owner(&self, mut container: Arc<Container>) -> Result<Arc<Container>, Error> {
        loop {
            let joined = {
                let inner = container.lock();
                let host = &inner.record.host_config;
                host.network_container().map(str::to_owned)
            };
            match joined {
                Some(other) => container = self.container(&other)?,
                None => return Ok(container),
            }
        }
    }

    /// The links of a container to others that still are there.
    fn linked(&self, record: &Record) -> Vec<Linked> {
        let links = record.links.iter();
        links
            .filter_map(|link| {
                let container = self.container(&link.container).ok()?;
                (container.id == link.container).then(|| Linked {
                    alias: link.alias.clone(),
                    container,
                })
            })
            .collect()
    }

    /// The variables that tell a container what it is linked to.
    pub(crate) fn link_environment(&self, record: &Record) -> Result<Vec<String>, Error> {
        if !record.networks.contains_key(BRIDGE) {
            return Ok(Vec::new());
        }
        let mut environment = Vec::new();
        for linked in self.linked(record) {
            let name = linked.name(&record.name);
            let inner = linked.container.lock();
            let theirs = &inner.record;
            if theirs.state.pid().is_none() {
                return Err(Error::System(format!(
                    "Cannot link to a non running container: /{} AS {name}",
                    theirs.name
                )));
            }
            let Some(address) = address(theirs, true) else {
                return Err(Error::System(format!(
                    "container {} not attached to default bridge network",
                    theirs.id
                )));
            };
            environment.extend(variables(&name, address, &theirs.config));
        }
        Ok(environment)
    }

    /// What `/etc/hosts` says of a container's links.
    pub(crate) fn link_hosts(&self, record: &Record) -> Vec<(IpAddr, String)> {
        let mut hosts = Vec::new();
        for linked in self.linked(record) {
            let inner = linked.container.lock();
            let theirs = &inner.record;
            let mut names = format!("{} {}", linked.alias, theirs.config.hostname);
            if linked.alias != theirs.name {
                names += &format!(" {}", theirs.name);
            }
            let addresses = [true, false].into_iter();
            let addresses = addresses.filter_map(|ipv4| address(theirs, ipv4));
            hosts.extend(addresses.map(|address| (address, names.clone())));
        }
        hosts
    }

    /// Tells containers that link to this one where it is now.
    pub(crate) async fn tell_parents(self: &Arc<Self>, container: &Arc<Container>) {
        for parent in self.all_containers() {
            let links = |parent: &Container| {
                let inner = parent.lock();
                let mut links = inner.record.links.iter();
                links.any(|link| link.container == container.id)
            };
            if links(&parent) {
                self.rewrite_host_files(&parent).await;
            }
        }
    }

    /// The id of the container that another one knows by this name.
    pub fn linked_container(&self, parent: &str, alias: &str) -> Result<String, Error> {
        let unknown = || Error::no_such_container(&format!("{parent}/{alias}"));
        let parent = self.container(parent).map_err(|_| unknown())?;
        let record = parent.lock().record.clone();
        let linked = self.linked(&record);
        let linked = linked.into_iter().find(|linked| linked.alias == alias);
        Ok(linked.ok_or_else(unknown)?.container.id.clone())
    }

    /// `docker rm PARENT/ALIAS`: with `--link` the link alone, otherwise what it leads to.
    pub async fn remove_by_link(
        self: &Arc<Self>,
        parent: &str,
        alias: &str,
        request: RemoveRequest,
    ) -> Result<(), Error> {
        let child = self.linked_container(parent, alias)?;
        if !request.link {
            return self.remove_container(&child, request).await;
        }
        let parent = self.container(parent)?;
        parent
            .lock()
            .record
            .links
            .retain(|link| link.alias != alias);
        parent.changed();
        parent.save().await?;
        self.rewrite_host_files(&parent).await;
        Ok(())
    }

    /// Puts what Docker tells of links into a snapshot's configuration.
    pub(super) fn show_links(&self, snapshot: &mut Snapshot) {
        let record = &snapshot.record;
        let shown: Vec<String> = self
            .linked(record)
            .iter()
            .map(|linked| {
                let theirs = linked.container.lock().record.name.clone();
                format!("/{theirs}:{}", linked.name(&record.name))
            })
            .collect();
        snapshot.record.host_config.links = (!shown.is_empty()).then_some(shown);
    }

    /// The names by which others link to these containers.
    pub(super) fn name_links(snapshots: &mut [Snapshot]) {
        let mut names: Vec<(String, String)> = Vec::new();
        for parent in &*snapshots {
            for link in &parent.record.links {
                let name = format!("/{}/{}", parent.record.name, link.alias);
                names.push((link.container.clone(), name));
            }
        }
        for (container, name) in names {
            let child = snapshots.iter_mut();
            if let Some(child) = child.into_iter().find(|s| s.record.id == container) {
                child.link_names.push(name);
            }
        }
    }
}

/// `NAME`, `NAME:ALIAS`, or as inspect shows it: `/NAME:/PARENT/ALIAS`.
fn parse(text: &str) -> Result<(&str, &str), Error> {
    let mut parts = text.split(':');
    match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
        ("", None, None) => Err(Error::System("empty string specified for links".into())),
        (name, None, None) => Ok((name, name)),
        (name, Some(alias), None) => Ok(match name.strip_prefix('/') {
            Some(name) => (name, alias.rsplit('/').next().unwrap_or(alias)),
            None => (name, alias.trim_start_matches('/')),
        }),
        _ => Err(Error::System(format!("bad format for links: {text}"))),
    }
}

fn address(record: &Record, ipv4: bool) -> Option<IpAddr> {
    let endpoint = record.networks.get(BRIDGE)?.endpoint.as_ref()?;
    let address = if ipv4 { endpoint.ipv4 } else { endpoint.ipv6 };
    address.map(|address| address.ip)
}

/// Docker's variables for one link.
fn variables(name: &str, address: IpAddr, theirs: &Config) -> Vec<String> {
    let alias = name.rsplit('/').next().unwrap_or(name);
    let alias = alias.to_uppercase().replace('-', "_");
    let mut ports: Vec<(u16, &str)> = theirs
        .exposed_ports
        .keys()
        .filter_map(|key| {
            let (number, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
            Some((number.parse().ok()?, protocol))
        })
        .collect();
    ports.sort_by_key(|(number, protocol)| (*number, Reverse(*protocol == "tcp"), *protocol));
    let mut all = Vec::new();
    if let Some((number, protocol)) = ports.first() {
        all.push(format!("{alias}_PORT={protocol}://{address}:{number}"));
    }
    let key = |(number, protocol): (u16, &str)| {
        format!("{alias}_PORT_{number}_{}", protocol.to_uppercase())
    };
    let url = |(number, protocol): (u16, &str)| format!("{protocol}://{address}:{number}");
    let mut rest = ports.as_slice();
    while let [first, more @ ..] = rest {
        let run = more
            .iter()
            .zip(u32::from(first.0) + 1..)
            .take_while(|((number, _), next)| u32::from(*number) <= *next)
            .count();
        rest = more;
        // Two in a row are no range yet.
        if run > 1
            && let (_, [last, behind @ ..]) = more.split_at(run - 1)
        {
            let (start, end) = (key(*first), key(*last));
            all.extend([
                format!("{start}_START={}", url(*first)),
                format!("{start}_ADDR={address}"),
                format!("{start}_PROTO={}", first.1),
                format!("{start}_PORT_START={}", first.0),
                format!("{end}_END={}", url(*last)),
                format!("{end}_PORT_END={}", last.0),
            ]);
            rest = behind;
        }
    }
    for port in ports {
        let key = key(port);
        all.extend([
            format!("{key}={}", url(port)),
            format!("{key}_ADDR={address}"),
            format!("{key}_PORT={}", port.0),
            format!("{key}_PROTO={}", port.1),
        ]);
    }
    all.push(format!("{alias}_NAME={name}"));
    for variable in &theirs.env {
        if let Some((name, value)) = variable.split_once('=')
            && !matches!(name, "HOME" | "PATH")
        {
            all.push(format!("{alias}_ENV_{name}={value}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn links_are_written_in_three_ways() {
        assert_eq!(parse("db").unwrap(), ("db", "db"));
        assert_eq!(parse("db:store").unwrap(), ("db", "store"));
        assert_eq!(parse("/db:/web/store").unwrap(), ("db", "store"));
        assert!(parse("").is_err());
        assert!(parse("a:b:c").is_err());
    }

    #[test]
    fn variables_are_dockers() {
        let ports = ["6379/tcp", "81/udp", "80/udp", "80/tcp"];
        let exposed = ports.map(|port| (port.to_owned(), serde_json::json!({})));
        let config = Config {
            exposed_ports: exposed.into_iter().collect(),
            env: ["PATH=/bin", "MODE=fast=yes", "BARE"]
                .map(str::to_owned)
                .to_vec(),
            ..Config::default()
        };
        let found = variables("/web/my-db", "172.17.0.2".parse().unwrap(), &config);
        let expected = [
            "MY_DB_PORT=tcp://172.17.0.2:80",
            "MY_DB_PORT_80_TCP_START=tcp://172.17.0.2:80",
            "MY_DB_PORT_80_TCP_ADDR=172.17.0.2",
            "MY_DB_PORT_80_TCP_PROTO=tcp",
            "MY_DB_PORT_80_TCP_PORT_START=80",
            "MY_DB_PORT_81_UDP_END=udp://172.17.0.2:81",
            "MY_DB_PORT_81_UDP_PORT_END=81",
            "MY_DB_PORT_80_TCP=tcp://172.17.0.2:80",
            "MY_DB_PORT_80_TCP_ADDR=172.17.0.2",
            "MY_DB_PORT_80_TCP_PORT=80",
            "MY_DB_PORT_80_TCP_PROTO=tcp",
            "MY_DB_PORT_80_UDP=udp://172.17.0.2:80",
            "MY_DB_PORT_80_UDP_ADDR=172.17.0.2",
            "MY_DB_PORT_80_UDP_PORT=80",
            "MY_DB_PORT_80_UDP_PROTO=udp",
            "MY_DB_PORT_81_UDP=udp://172.17.0.2:81",
            "MY_DB_PORT_81_UDP_ADDR=172.17.0.2",
            "MY_DB_PORT_81_UDP_PORT=81",
            "MY_DB_PORT_81_UDP_PROTO=udp",
            "MY_DB_PORT_6379_TCP=tcp://172.17.0.2:6379",
            "MY_DB_PORT_6379_TCP_ADDR=172.17.0.2",
            "MY_DB_PORT_6379_TCP_PORT=6379",
            "MY_DB_PORT_6379_TCP_PROTO=tcp",
            "MY_DB_NAME=/web/my-db",
            "MY_DB_ENV_MODE=fast=yes",
        ];
        assert_eq!(found, expected);
    }
}
