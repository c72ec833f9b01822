//! What is kept of a network on disk, in `<root>/networks/<id>.json`, and of a container's place
//! on one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::{Error, ids, state_file};

/// A network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Time,
    /// `bridge`, `macvlan`, `ipvlan`, `host`, `null`.
    pub driver: String,
    /// What the client said; empty means `local`.
    #[serde(default)]
    pub scope: String,
    /// Endpoints have IPv4 addresses.
    pub enable_ipv4: bool,
    /// Endpoints have IPv6 addresses.
    pub enable_ipv6: bool,
    /// No way out.
    pub internal: bool,
    /// Of no meaning without a swarm.
    pub attachable: bool,
    /// Only a pattern for others.
    pub config_only: bool,
    /// The network whose pattern this one follows.
    pub config_from: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The driver's own.
    pub options: BTreeMap<String, String>,
    /// Addresses, as inspect shows them.
    pub ipam: Ipam,
    /// The subnets that were asked for.
    #[serde(default)]
    pub given: Option<Vec<IpamConfig>>,
    /// What the machine has of it; nothing of `host`, `none` and patterns.
    pub spec: Option<network::Spec>,
}

/// Addresses of a network: Docker's `IPAM`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ipam {
    /// `default`.
    pub driver: String,
    /// The driver's own.
    pub options: Option<BTreeMap<String, String>>,
    /// Subnets.
    pub config: Option<Vec<IpamConfig>>,
}

/// A subnet of a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IpamConfig {
    /// All addresses.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subnet: String,
    /// Where containers get theirs from.
    #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty")]
    pub ip_range: String,
    /// The gateway.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// Addresses that others have, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub auxiliary_addresses: BTreeMap<String, String>,
}

/// What a client wants of a container's place on a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EndpointSettings {
    /// Addresses.
    #[serde(rename = "IPAMConfig")]
    pub ipam_config: Option<EndpointIpam>,
    /// `CONTAINER[:ALIAS]`: names that only this container knows.
    pub links: Option<Vec<String>>,
    /// Names that all containers on the network know it by.
    pub aliases: Option<Vec<String>>,
    /// Hardware address.
    pub mac_address: String,
    /// The driver's own.
    pub driver_opts: Option<BTreeMap<String, String>>,
    /// The default route leads to the network with the highest.
    pub gw_priority: i64,
}

/// Addresses that a client wants.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EndpointIpam {
    /// IPv4.
    #[serde(rename = "IPv4Address", skip_serializing_if = "String::is_empty")]
    pub ipv4_address: String,
    /// IPv6.
    #[serde(rename = "IPv6Address", skip_serializing_if = "String::is_empty")]
    pub ipv6_address: String,
    /// Others, of its link alone.
    #[serde(rename = "LinkLocalIPs", skip_serializing_if = "Option::is_none")]
    pub link_local_ips: Option<Vec<String>>,
}

/// A container's place on a network.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's id; empty before the first start.
    pub network_id: String,
    /// What was asked for.
    pub settings: EndpointSettings,
    /// What it has, while it runs.
    pub endpoint: Option<network::Endpoint>,
    /// The id of its place, while it runs, on a network without addresses.
    #[serde(default)]
    pub bare_id: String,
    /// The container has been told to leave, whether or not it ever was there.
    #[serde(default)]
    pub left: bool,
    /// The names that others there know it by, as inspect shows them, though it may never have been
    /// there. A rename gives them on networks without names, too.
    #[serde(default)]
    pub names: Vec<String>,
}

impl Attachment {
    /// The id of its place; empty while the container does not run.
    #[must_use]
    pub fn endpoint_id(&self) -> &str {
        match &self.endpoint {
            Some(endpoint) => &endpoint.endpoint_id,
            None => &self.bare_id,
        }
    }

    /// Whether the container has its place now.
    pub(crate) fn is_live(&self) -> bool {
        !self.endpoint_id().is_empty()
    }
}

impl NetworkRecord {
    /// One of the three that every Docker has.
    pub(crate) fn is_predefined(&self) -> bool {
        matches!(self.name.as_str(), "bridge" | "host" | "none")
    }

    /// Where it counts: `local`, unless the client has said otherwise.
    #[must_use]
    pub fn scope(&self) -> &str {
        match self.scope.as_str() {
            "" => "local",
            scope => scope,
        }
    }

    /// Whether containers on it ask our own resolver for names.
    pub(crate) fn has_names(&self) -> bool {
        self.spec.is_some() && !self.is_predefined()
    }
}

/// All networks.
#[derive(Debug)]
pub(crate) struct Table {
    dir: PathBuf,
    known: Mutex<BTreeMap<String, NetworkRecord>>,
    /// Held while a network is made or removed, and while a container joins one.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl Table {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            known: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, NetworkRecord>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what there is; makes what every Docker has. The default bridge's addresses are chosen
    /// later.
    pub(crate) fn load(&self) -> Result<(), Error> {
        for path in state_file::entries(&self.dir)? {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read(&path).map_err(|e| Error::file("reading", &path, e))?;
            match serde_json::from_slice::<NetworkRecord>(&text) {
                Ok(record) => {
                    self.lock().insert(record.id.clone(), record);
                }
                // One damaged record must not keep the others away.
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a network cannot be read");
                }
            }
        }
        for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
            let known = self.lock().values().any(|record| record.name == name);
            if !known {
                self.keep(predefined(name, driver)?)?;
            }
        }
        Ok(())
    }

    /// Writes a record and remembers it.
    pub(crate) fn keep(&self, record: NetworkRecord) -> Result<(), Error> {
        let text = serde_json::to_vec(&record)
            .map_err(|e| Error::System(format!("writing the network's record: {e}")))?;
        state_file::write(&self.path(&record.id), &text)?;
        self.lock().insert(record.id.clone(), record);
        Ok(())
    }

    /// Forgets a record for good.
    pub(crate) fn forget(&self, id: &str) -> Result<(), Error> {
        let path = self.path(id);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("removing", &path, e));
            }
            _ => {}
        }
        self.lock().remove(id);
        Ok(())
    }

    /// The network with that id, name or unique id prefix.
    pub(crate) fn find(&self, name: &str) -> Result<NetworkRecord, Error> {
        let known = self.lock();
        let named = || known.values().find(|record| record.name == name);
        let exact = known.get(name).or_else(named);
        if let Some(record) = exact {
            return Ok(record.clone());
        }
        let mut matches = known
            .values()
            .filter(|record| !name.is_empty() && record.id.starts_with(name));
        match (matches.next(), matches.next()) {
            (Some(record), None) => Ok(record.clone()),
            (Some(_), Some(_)) => Err(Error::Invalid(format!(
                "network {name} is ambiguous (2 matches found based on ID prefix)"
            ))),
            (None, _) => Err(Error::NotFound(format!("network {name} not found"))),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

fn predefined(name: &str, driver: &str) -> Result<NetworkRecord, Error> {
    Ok(NetworkRecord {
        id: ids::random_id()?,
        name: name.into(),
        created: Time::now(),
        driver: driver.into(),
        scope: String::new(),
        enable_ipv4: true,
        enable_ipv6: false,
        internal: false,
        attachable: false,
        config_only: false,
        config_from: String::new(),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        ipam: Ipam {
            driver: "default".into(),
            options: None,
            config: None,
        },
        given: None,
        spec: None,
    })
}
