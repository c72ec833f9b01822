//! `docker network create`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use network::{Kind, Pool, Spec, Subnet};

use super::{Ipam, NetworkRecord};
use super::{ipam, options};
use crate::error::go_bool;
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
    /// `local`, or empty.
    pub scope: String,
    /// Of no meaning without a swarm.
    pub ingress: bool,
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
            if !request.config_only {
                check_driver(&request)?;
                engine.follow_pattern(&mut request)?;
                check_rest(&request)?;
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

    fn follow_pattern(&self, request: &mut NetworkRequest) -> Result<(), Error> {
        let name = request.config_from.clone();
        if name.is_empty() {
            return Ok(());
        }
        let pattern = self.networks.find(&name).ok();
        let pattern = pattern.filter(|pattern| pattern.config_only);
        let missing =
            || Error::NotFound(format!("configuration network \"{name}\" does not exist"));
        follow(&pattern.ok_or_else(missing)?, request);
        Ok(())
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
            scope: request.scope,
            enable_ipv4,
            enable_ipv6: request.enable_ipv6.unwrap_or(false),
            internal: request.internal,
            attachable: request.attachable,
            config_only: request.config_only,
            config_from: request.config_from,
            labels: request.labels,
            options: request.options,
            ipam: request.ipam,
            given: None,
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
        let pools = self.plan_pools(&mut record, driver.no_gateway, network, &taken)?;
        if driver.kind == Kind::Bridge {
            check_multicast(&pools)?;
            self.check_interface(&id, &driver.interface)?;
        }
        record.spec = Some(Spec {
            id,
            kind: driver.kind,
            interface: driver.interface,
            pools,
            mtu: driver.mtu,
            internal: driver.internal,
            icc: driver.icc,
            ipv4: driver.ipv4,
            ipv6: driver.ipv6,
            publish_on: driver.publish_on,
            inhibit_ipv4: driver.inhibit_ipv4,
        });
        Ok(record)
    }
}

/// Checks what can be checked of the request alone, and fills in its defaults.
fn check(request: &mut NetworkRequest) -> Result<(), Error> {
    let name = request.name.as_str();
    if matches!(name, "bridge" | "host" | "none" | "default") {
        // The blank at the end is dockerd's.
        return Err(Error::Forbidden(format!(
            "operation is not permitted on predefined {name} network "
        )));
    }
    if request.driver.is_empty() {
        request.driver = "bridge".into();
    }
    if request.driver == "overlay" {
        return Err(Error::Forbidden(crate::system::NO_SWARM.into()));
    }
    family(&mut request.enable_ipv4, &mut request.options, "ipv4")?;
    family(&mut request.enable_ipv6, &mut request.options, "ipv6")?;
    let configs = request.ipam.config.as_deref().unwrap_or_default();
    ipam::check(configs, request.enable_ipv6 == Some(true))?;
    if name.trim().is_empty() {
        return Err(Error::Invalid("invalid name: name is empty".into()));
    }
    if request.ipam.driver.is_empty() {
        request.ipam.driver = "default".into();
    }
    check_pattern(request)
}

/// Whether it has addresses of a kind may also be said by an option of the driver.
fn family(
    enabled: &mut Option<bool>,
    options: &mut BTreeMap<String, String>,
    kind: &str,
) -> Result<(), Error> {
    let name = format!("com.docker.network.enable_{kind}");
    if enabled.is_some() {
        options.remove(&name);
    } else if let Some(text) = options.get(&name) {
        let wrong = |_| Error::Invalid(format!("driver-opt \"{name}\" is not a valid bool"));
        *enabled = Some(go_bool(text).map_err(wrong)?);
    }
    Ok(())
}

/// A pattern has nothing that only a network can have, and who follows one has nothing of its own.
fn check_pattern(request: &NetworkRequest) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::Forbidden(why.into()));
    let operators =
        request.internal || request.attachable || request.ingress || !request.scope.is_empty();
    if request.config_only && operators {
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
    let own = request.ipam.config.iter().flatten().next().is_some()
        || request.ipam.driver != "default"
        || request.enable_ipv4 == Some(false)
        || request.enable_ipv6 == Some(true)
        || !request.labels.is_empty();
    if own {
        return refuse(
            "user specified configurations are not supported if the network depends on a configuration network",
        );
    }
    if !request.options.is_empty() {
        return refuse(
            "network driver options are not supported if the network depends on a configuration network",
        );
    }
    Ok(())
}

/// What a network, unlike a pattern, must have.
fn check_driver(request: &NetworkRequest) -> Result<(), Error> {
    let driver = request.driver.as_str();
    if !matches!(driver, "bridge" | "macvlan" | "ipvlan" | "host" | "null") {
        return Err(no_plugin(driver));
    }
    if request.ingress {
        return Err(Error::Forbidden(
            "Ingress network can only be global scope network".into(),
        ));
    }
    Ok(())
}

/// What is refused after the pattern is known.
fn check_rest(request: &NetworkRequest) -> Result<(), Error> {
    if request.scope == "swarm" {
        return Err(Error::Forbidden(
            "cannot create a swarm scoped network when swarm is not active".into(),
        ));
    }
    if !matches!(request.ipam.driver.as_str(), "default" | "null") {
        return Err(no_plugin(&request.ipam.driver));
    }
    if matches!(request.driver.as_str(), "host" | "null") {
        return Err(Error::Forbidden(format!(
            "only one instance of \"{}\" network is allowed",
            request.driver
        )));
    }
    if request.enable_ipv4 == Some(false) && request.enable_ipv6 != Some(true) {
        return Err(Error::Invalid("IPv4 or IPv6 must be enabled".into()));
    }
    Ok(())
}

fn no_plugin(name: &str) -> Error {
    Error::NotFound(format!("plugin \"{name}\" not found"))
}

fn check_multicast(pools: &[Pool]) -> Result<(), Error> {
    let wrong = |pool: &&Pool| matches!(pool.subnet.base(), IpAddr::V6(ip) if ip.is_multicast());
    match pools.iter().find(wrong) {
        Some(pool) => Err(Error::Invalid(format!(
            "multicast subnet '{}/{}' is not allowed",
            pool.gateway.unwrap_or(pool.subnet.base()),
            pool.subnet.prefix_len()
        ))),
        None => Ok(()),
    }
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
    /// No two networks have the same bridge.
    fn check_interface(&self, id: &str, name: &str) -> Result<(), Error> {
        let known = self.networks.lock();
        let other = known.values().find(|other| {
            other
                .spec
                .as_ref()
                .is_some_and(|spec| spec.interface == name)
        });
        match other {
            Some(other) => Err(Error::Forbidden(format!(
                "cannot create network {id} ({name}): conflicts with network {} ({name}): networks have same bridge name",
                other.id
            ))),
            None => Ok(()),
        }
    }

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
