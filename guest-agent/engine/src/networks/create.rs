//! `docker network create`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use network::{Pool, Spec, Subnet};

use super::options;
use super::{Ipam, IpamConfig, NetworkRecord};
use crate::events::Subject;
use crate::time::Time;
use crate::{Engine, Error, blocking, ids};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct NetworkRequest {
    /// Name.
    pub name: String,
    /// `bridge` when empty.
    pub driver: String,
    /// With IPv4 addresses, unless said otherwise.
    pub enable_ipv4: Option<bool>,
    /// With IPv6 addresses.
    pub enable_ipv6: Option<bool>,
    /// No way out.
    pub internal: bool,
    /// Of no meaning without a swarm.
    pub attachable: bool,
    /// Only a pattern.
    pub config_only: bool,
    /// The pattern to follow.
    pub config_from: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The driver's own.
    pub options: BTreeMap<String, String>,
    /// Addresses.
    pub ipam: Ipam,
}

impl Engine {
    /// Makes a network; returns its id.
    pub async fn create_network(
        self: &Arc<Self>,
        mut request: NetworkRequest,
    ) -> Result<String, Error> {
        check(&mut request)?;
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            let _alone = engine.networks.changing.lock().await;
            if let Ok(other) = engine.networks.find(&request.name)
                && other.name == request.name
            {
                return Err(Error::Conflict(format!(
                    "network with name {} already exists",
                    request.name
                )));
            }
            if !request.config_from.is_empty() {
                let pattern = engine.networks.find(&request.config_from).ok();
                let pattern = pattern.filter(|pattern| pattern.config_only);
                let missing = || {
                    let name = &request.config_from;
                    Error::NotFound(format!("configuration network \"{name}\" not found"))
                };
                follow(&pattern.ok_or_else(missing)?, &mut request);
            }
            let network = engine.network().await?;
            let engine = Arc::clone(&engine);
            blocking::run(move || {
                let record = engine.plan_network(request, &network)?;
                let id = record.id.clone();
                if let Some(spec) = record.spec.clone() {
                    network.up(spec)?;
                }
                if let Err(error) = engine.networks.keep(record.clone()) {
                    network.down(&id)?;
                    return Err(error);
                }
                engine.network_event(&record, "create", None);
                Ok(id)
            })
            .await
        })
        .await
    }

    fn plan_network(
        &self,
        request: NetworkRequest,
        network: &network::Networks,
    ) -> Result<NetworkRecord, Error> {
        let id = ids::random_id()?;
        let enable_ipv4 = request.enable_ipv4.unwrap_or(true);
        let mut record = NetworkRecord {
            id: id.clone(),
            name: request.name,
            created: Time::now(),
            driver: request.driver,
            enable_ipv4,
            enable_ipv6: request.enable_ipv6.unwrap_or(false),
            internal: request.internal,
            attachable: request.attachable,
            config_only: request.config_only,
            config_from: request.config_from,
            labels: request.labels,
            options: request.options,
            ipam: request.ipam,
            spec: None,
        };
        if record.config_only {
            // Docker's, so that nobody takes it for a network.
            record.driver = "null".into();
            return Ok(record);
        }
        let driver = options::read(
            &record.driver,
            &record.options,
            &id,
            record.internal,
            network.mtu(),
        )?;
        let taken: Vec<Subnet> = self
            .networks
            .lock()
            .values()
            .filter_map(|record| record.spec.as_ref())
            .flat_map(|spec| spec.pools.iter().map(|pool| pool.subnet))
            .collect();
        let pools = self.plan_pools(&mut record, network, &taken)?;
        record.spec = Some(Spec {
            id,
            kind: driver.kind,
            interface: driver.interface,
            pools,
            mtu: driver.mtu,
            internal: record.internal,
            icc: driver.icc,
            ipv4: driver.ipv4,
            ipv6: driver.ipv6,
            publish_on: driver.publish_on,
        });
        Ok(record)
    }

    /// The subnets that were asked for, and one of each kind that is missing.
    fn plan_pools(
        &self,
        record: &mut NetworkRecord,
        network: &network::Networks,
        taken: &[Subnet],
    ) -> Result<Vec<Pool>, Error> {
        let mut pools = Vec::new();
        let configs = record.ipam.config.take().unwrap_or_default();
        for config in configs.iter().filter(|config| !config.subnet.is_empty()) {
            let pool = pool(config)?;
            let kept = if pool.subnet.is_ipv4() {
                record.enable_ipv4
            } else {
                record.enable_ipv6
            };
            if !kept {
                continue;
            }
            let overlaps = |other: &Subnet| other.overlaps(&pool.subnet);
            if taken.iter().any(overlaps) || pools.iter().any(|p: &Pool| overlaps(&p.subnet)) {
                return Err(Error::Forbidden(
                    "invalid pool request: Pool overlaps with other one on this address space"
                        .into(),
                ));
            }
            pools.push(pool);
        }
        let has = |pools: &[Pool], ipv4| pools.iter().any(|p| p.subnet.is_ipv4() == ipv4);
        let given = configs.iter().find(|config| config.subnet.is_empty());
        if record.enable_ipv4 && !has(&pools, true) {
            let mut all = taken.to_vec();
            all.extend(network.taken()?);
            let subnet = self.free_subnet(all)?;
            let config = IpamConfig {
                subnet: subnet.to_string(),
                gateway: given
                    .map(|config| config.gateway.clone())
                    .unwrap_or_default(),
                ..IpamConfig::default()
            };
            pools.push(pool(&config)?);
        }
        if record.enable_ipv6 && !has(&pools, false) {
            let mut all = taken.to_vec();
            all.extend(network.taken()?);
            pools.push(pool(&IpamConfig {
                subnet: self.free_subnet6(&record.id, all)?.to_string(),
                ..IpamConfig::default()
            })?);
        }
        record.ipam.config = Some(pools.iter().map(|pool| shown(pool, &configs)).collect());
        Ok(pools)
    }
}

/// A pool as inspect shows it: what was given as it was written, the rest as it was chosen.
fn shown(pool: &Pool, given: &[IpamConfig]) -> IpamConfig {
    let subnet = pool.subnet.to_string();
    let written = given
        .iter()
        .find(|config| config.subnet.parse::<Subnet>().ok() == Some(pool.subnet));
    let mut config = written.cloned().unwrap_or_default();
    config.subnet = subnet;
    config.gateway = pool.gateway.map_or_else(String::new, |ip| ip.to_string());
    config
}

fn pool(config: &IpamConfig) -> Result<Pool, Error> {
    let wrong = |text: String| Error::Invalid(format!("invalid network config:\n{text}"));
    let subnet: Subnet = config.subnet.parse().map_err(|_| {
        wrong(format!(
            "invalid subnet {}: invalid CIDR block notation",
            config.subnet
        ))
    })?;
    let inside = |what: &str, text: &str| -> Result<IpAddr, Error> {
        let ip: IpAddr = text
            .parse()
            .map_err(|_| wrong(format!("invalid {what} {text}: invalid address")))?;
        if !subnet.contains(ip) {
            return Err(wrong(format!(
                "invalid {what} {text}: parent subnet is {subnet}"
            )));
        }
        Ok(ip)
    };
    let range = match config.ip_range.as_str() {
        "" => None,
        text => {
            let range: Subnet = text.parse().map_err(|_| {
                wrong(format!(
                    "invalid ip-range {text}: invalid CIDR block notation"
                ))
            })?;
            if !subnet.contains(range.base()) || range.prefix_len() < subnet.prefix_len() {
                return Err(wrong(format!(
                    "invalid ip-range {text}: parent subnet {subnet} doesn't contain it"
                )));
            }
            Some(range)
        }
    };
    let aux = config
        .auxiliary_addresses
        .values()
        .map(|text| inside("auxiliary address", text))
        .collect::<Result<Vec<_>, _>>()?;
    let gateway = match config.gateway.split('/').next().unwrap_or_default() {
        "" => range
            .unwrap_or(subnet)
            .hosts()
            .find(|ip| !aux.contains(ip) && *ip != subnet.base()),
        text => Some(inside("gateway", text)?),
    };
    Ok(Pool {
        subnet,
        range,
        gateway,
        aux,
    })
}

/// Checks a request with dockerd's words, and fills in its defaults.
fn check(request: &mut NetworkRequest) -> Result<(), Error> {
    let name = request.name.as_str();
    if name.trim().is_empty() {
        return Err(Error::Invalid("invalid name: name is empty".into()));
    }
    if matches!(name, "bridge" | "host" | "none" | "default") {
        return Err(Error::Forbidden(format!(
            "operation is not permitted on predefined {name} network"
        )));
    }
    if request.driver.is_empty() || request.driver == "default" {
        request.driver = "bridge".into();
    }
    match request.driver.as_str() {
        "bridge" | "macvlan" | "ipvlan" => {}
        "host" | "null" => {
            return Err(Error::Forbidden(format!(
                "only one instance of \"{}\" network is allowed",
                request.driver
            )));
        }
        "overlay" => {
            return Err(Error::Unavailable(
                "This node is not a swarm manager. Slipway has no swarm mode.".into(),
            ));
        }
        other => {
            return Err(Error::NotFound(format!(
                "could not find plugin {other} in v1 plugin registry: plugin \"{other}\" not found"
            )));
        }
    }
    if request.enable_ipv4 == Some(false) && request.enable_ipv6 != Some(true) {
        return Err(Error::Invalid("IPv4 or IPv6 must be enabled".into()));
    }
    check_pattern(request)?;
    if request.ipam.driver.is_empty() {
        request.ipam.driver = "default".into();
    }
    if request.ipam.driver != "default" {
        return Err(Error::NotFound(format!(
            "invalid IPAM driver: {}: Slipway has only the default one",
            request.ipam.driver
        )));
    }
    Ok(())
}

/// A pattern has nothing that only a network can have, and who follows one has nothing of its own.
fn check_pattern(request: &NetworkRequest) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::Forbidden(why.into()));
    if request.config_only && (request.internal || request.attachable) {
        return refuse(
            "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
        );
    }
    if request.config_from.is_empty() {
        return Ok(());
    }
    if request.config_only {
        return refuse("a configuration network cannot depend on another configuration network");
    }
    let own = request
        .ipam
        .config
        .as_ref()
        .is_some_and(|all| !all.is_empty())
        || request.enable_ipv4 == Some(false)
        || request.enable_ipv6 == Some(true)
        || !request.labels.is_empty()
        || !request.options.is_empty();
    if own {
        return refuse(
            "user supplied configurations are not supported if the network depends on a configuration network",
        );
    }
    Ok(())
}

/// Takes over what a pattern says.
fn follow(pattern: &NetworkRecord, request: &mut NetworkRequest) {
    request.enable_ipv4 = Some(pattern.enable_ipv4);
    request.enable_ipv6 = Some(pattern.enable_ipv6);
    request.labels = pattern.labels.clone();
    request.options = pattern.options.clone();
    request.ipam = pattern.ipam.clone();
}

impl Engine {
    /// Publishes an event about a network.
    pub(crate) fn network_event(
        &self,
        record: &NetworkRecord,
        action: &str,
        container: Option<&str>,
    ) {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), record.name.clone()),
            ("type".to_owned(), record.driver.clone()),
        ]);
        if let Some(container) = container {
            attributes.insert("container".into(), container.into());
        }
        self.events
            .publish(Subject::Network, action, &record.id, attributes);
    }
}
