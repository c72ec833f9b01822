//! Who is called what on which network.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{dns_names, is_nameless};
use crate::Engine;

type ByName = HashMap<String, Vec<IpAddr>>;

/// All names of all running containers.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By network.
    networks: HashMap<String, Network>,
    /// By container: its networks, and names that it alone knows.
    askers: HashMap<String, Asker>,
}

#[derive(Debug, Default)]
struct Network {
    names: ByName,
    addresses: HashMap<IpAddr, String>,
}

/// Who asks.
#[derive(Debug, Default)]
pub(super) struct Asker {
    networks: Vec<String>,
    links: ByName,
    /// Servers of the container's own choice.
    pub(super) servers: Vec<IpAddr>,
    /// One of its networks leads out.
    pub(super) leads_out: bool,
}

impl Index {
    pub(super) fn new(engine: &Engine) -> Self {
        let mut index = Self::default();
        let mut links = Vec::new();
        for container in engine.all_containers() {
            let record = container.lock().record.clone();
            let mut asker = Asker {
                servers: record
                    .host_config
                    .dns
                    .iter()
                    .flatten()
                    .filter_map(|text| text.parse().ok())
                    .collect(),
                ..Asker::default()
            };
            for (network, attachment) in &record.networks {
                let Some(endpoint) = &attachment.endpoint else {
                    continue;
                };
                asker.leads_out |= endpoint.leads_out;
                let names = dns_names(&record, network).filter(|_| !is_nameless(network));
                let Some(names) = names else {
                    continue;
                };
                asker.networks.push(attachment.network_id.clone());
                let known = index.networks.entry(attachment.network_id.clone());
                let known = known.or_default();
                for address in endpoint.addresses() {
                    for name in &names {
                        let name = name.to_lowercase();
                        let full = format!("{name}.{}", network.to_lowercase());
                        for name in [name, full] {
                            known.names.entry(name).or_default().push(address.ip);
                        }
                    }
                    let full = format!("{}.{network}", record.name);
                    known.addresses.insert(address.ip, full);
                }
                let own = attachment.settings.links.iter().flatten();
                // The container's are those of its first network.
                let first = *network == record.host_config.network_mode;
                let first = record.host_config.links.iter().filter(|_| first);
                for link in own.chain(first.flatten()) {
                    let (other, alias) = link.split_once(':').unwrap_or((link, link));
                    let alias = alias.rsplit('/').next().unwrap_or(alias);
                    let here = attachment.network_id.clone();
                    links.push((
                        (record.id.clone(), here),
                        (other.to_owned(), alias.to_lowercase()),
                    ));
                }
            }
            index.askers.insert(record.id.clone(), asker);
        }
        for ((asker, network), (other, alias)) in links {
            let Ok(other) = engine.container(&other) else {
                continue;
            };
            let theirs: Vec<IpAddr> = {
                let inner = other.lock();
                let places = inner.record.networks.values();
                places
                    // A link is one of a network.
                    .filter(|attachment| attachment.network_id == network)
                    .filter_map(|attachment| attachment.endpoint.as_ref())
                    .flat_map(network::Endpoint::addresses)
                    .map(|address| address.ip)
                    .collect()
            };
            if let Some(asker) = index.askers.get_mut(&asker) {
                asker.links.entry(alias).or_default().extend(theirs);
            }
        }
        index
    }

    pub(super) fn asker(&self, container: &str) -> Option<&Asker> {
        self.askers.get(container)
    }

    /// Addresses of a name, as a container knows it; nothing when it is nobody's.
    pub(super) fn find(&self, asker: &Asker, name: &str) -> Option<Vec<IpAddr>> {
        if let Some(found) = asker.links.get(name).filter(|found| !found.is_empty()) {
            return Some(found.clone());
        }
        let known = asker.networks.iter().filter_map(|id| self.networks.get(id));
        let mut found: Option<Vec<IpAddr>> = None;
        for network in known {
            if let Some(addresses) = network.names.get(name) {
                found.get_or_insert_default().extend(addresses);
            }
        }
        found
    }

    /// Who has an address, as a container knows it.
    pub(super) fn name_of(&self, asker: &Asker, ip: IpAddr) -> Option<&str> {
        asker
            .networks
            .iter()
            .filter_map(|id| self.networks.get(id))
            .find_map(|network| network.addresses.get(&ip).map(String::as_str))
    }
}
