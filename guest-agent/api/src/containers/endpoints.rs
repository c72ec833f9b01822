//! A container's places on networks, as inspect and list show them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use engine::containers::Record;
use engine::{Address, Attachment, EndpointIpam};
use serde::Serialize;

use crate::version::ApiVersion;

/// Networks on which containers have no names.
const PREDEFINED: [&str; 4] = ["default", "bridge", "host", "none"];

/// A place on a network.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Endpoint<'a> {
    #[serde(rename = "IPAMConfig")]
    ipam_config: Option<Cow<'a, EndpointIpam>>,
    links: Option<&'a [String]>,
    aliases: Option<Cow<'a, [String]>>,
    pub(crate) mac_address: &'a str,
    driver_opts: Option<&'a BTreeMap<String, String>>,
    gw_priority: i64,
    #[serde(rename = "NetworkID")]
    network_id: &'a str,
    #[serde(rename = "EndpointID")]
    pub(crate) endpoint_id: &'a str,
    pub(crate) gateway: String,
    #[serde(rename = "IPAddress")]
    pub(crate) ip_address: String,
    #[serde(rename = "IPPrefixLen")]
    pub(crate) ip_prefix_len: u8,
    #[serde(rename = "IPv6Gateway")]
    pub(crate) ipv6_gateway: String,
    #[serde(rename = "GlobalIPv6Address")]
    pub(crate) global_ipv6_address: String,
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub(crate) global_ipv6_prefix_len: u8,
    #[serde(rename = "DNSNames")]
    dns_names: Option<Vec<String>>,
}

impl<'a> Endpoint<'a> {
    /// What it has, without what was asked for and the names.
    fn bare(attachment: &'a Attachment) -> Self {
        let settings = &attachment.settings;
        let endpoint = attachment.endpoint.as_ref();
        let leads_out = endpoint.is_some_and(|endpoint| endpoint.leads_out);
        let address = |address: Option<Address>| {
            address.map_or((String::new(), 0, String::new()), |address| {
                // Where nothing leads out, nothing leads through the gateway.
                let gateway = address.gateway.filter(|_| leads_out);
                let gateway = gateway.map_or_else(String::new, |ip| ip.to_string());
                (address.ip.to_string(), address.prefix_len, gateway)
            })
        };
        let (ip_address, ip_prefix_len, gateway) = address(endpoint.and_then(|e| e.ipv4));
        let (global_ipv6_address, global_ipv6_prefix_len, ipv6_gateway) =
            address(endpoint.and_then(|e| e.ipv6));
        // What was asked for is shown until the container has been there, or has tried, and where nobody
        // gives it another.
        let untried = attachment.network_id.is_empty() && !attachment.left;
        let mac_address = match endpoint {
            Some(endpoint) => endpoint.mac.as_str(),
            None if untried || !attachment.bare_id.is_empty() => &settings.mac_address,
            None => "",
        };
        Self {
            mac_address,
            gw_priority: settings.gw_priority,
            network_id: &attachment.network_id,
            endpoint_id: attachment.endpoint_id(),
            gateway,
            ip_address,
            ip_prefix_len,
            ipv6_gateway,
            global_ipv6_address,
            global_ipv6_prefix_len,
            ..Self::default()
        }
    }

    /// What a list shows: of what was asked for only the addresses, but not those of its link.
    fn listed(attachment: &'a Attachment) -> Self {
        let wanted = attachment.settings.ipam_config.as_ref();
        let ipam_config = wanted.map(|wanted| match wanted.link_local_ips {
            None => Cow::Borrowed(wanted),
            Some(_) => Cow::Owned(EndpointIpam {
                link_local_ips: None,
                ..wanted.clone()
            }),
        });
        Self {
            ipam_config,
            ..Self::bare(attachment)
        }
    }

    /// Before 1.45, when there were no `DNSNames`, the container's own names were among its aliases.
    fn add_own_names(&mut self, record: &Record) {
        let short = engine::short(&record.id);
        let aliases = self.aliases.iter().flat_map(|aliases| aliases.iter());
        let all = aliases.map(String::as_str);
        let mut names: Vec<String> = Vec::new();
        for name in all.chain([short, &record.config.hostname]) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        self.aliases = Some(Cow::Owned(names));
    }

    /// All of it.
    pub(crate) fn new(record: &'a Record, name: &str, attachment: &'a Attachment) -> Self {
        let settings = &attachment.settings;
        Self {
            ipam_config: settings.ipam_config.as_ref().map(Cow::Borrowed),
            links: settings.links.as_deref(),
            aliases: settings.aliases.as_deref().map(Cow::Borrowed),
            driver_opts: settings.driver_opts.as_ref(),
            dns_names: engine::dns_names(record, name),
            ..Self::bare(attachment)
        }
    }
}

/// The networks that the container is on, by name.
pub(crate) fn all(record: &Record, version: ApiVersion) -> BTreeMap<&str, Endpoint<'_>> {
    let networks = record.networks.iter();
    networks
        .map(|(name, attachment)| {
            let mut endpoint = Endpoint::new(record, name, attachment);
            if !version.at_least(45) && !PREDEFINED.contains(&name.as_str()) {
                endpoint.add_own_names(record);
            }
            (name.as_str(), endpoint)
        })
        .collect()
}

/// The same for a list.
pub(crate) fn listed(record: &Record) -> BTreeMap<&str, Endpoint<'_>> {
    let networks = record.networks.iter();
    networks
        .map(|(name, attachment)| (name.as_str(), Endpoint::listed(attachment)))
        .collect()
}
