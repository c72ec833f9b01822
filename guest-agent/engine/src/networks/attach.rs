//! A container's networks at its start and its end.

use std::sync::Arc;

use network::Request;
use runtime::spec::Namespace;

use super::{Attachment, EndpointSettings, NetworkRecord, check_endpoint, names_of, options};
use crate::containers::{Container, Record};
use crate::{Engine, Error, blocking, ids};

/// In front of whatever keeps a container from its networks.
const FAILED: &str = "failed to set up container networking: ";

/// No container can be on a pattern for networks.
pub(super) const ONLY_PATTERN: &str = "cannot create endpoint on configuration-only network";

/// Its processes would have to be elsewhere.
const NOT_HOST: &str =
    "cannot connect container to host network - container must be created in host network mode";

impl Engine {
    /// Connects a container that starts to its networks.
    pub(crate) async fn join_networks(
        self: &Arc<Self>,
        container: &Arc<Container>,
        record: &Record,
    ) -> Result<Namespace, Error> {
        let id = container.id.clone();
        let mode = record.host_config.network_mode.as_str();
        if record.is_cut_off() {
            let network = self.network().await?;
            if !record.config.network_disabled {
                self.note_predefined(container, "none")?;
            }
            let made = blocking::here(|| network.open_sandbox(&id, &[], false))?;
            return Ok(Namespace::Path(made.netns));
        }
        if mode == "host" {
            self.note_predefined(container, "host")?;
            return Ok(Namespace::Host);
        }
        if let Some(other) = record.host_config.network_container() {
            let joined = self.container(other).map_err(|e| {
                Error::System(format!("joining network namespace of container: {e}"))
            })?;
            if joined.id == id {
                return Err(Error::System("cannot join own network namespace".into()));
            }
            let theirs = joined.snapshot();
            let pid = theirs.record.state.pid().ok_or_else(|| {
                Error::Conflict(format!(
                    "cannot join network namespace of a non running container: container {} is {}",
                    theirs.record.name,
                    theirs.status()
                ))
            })?;
            return Ok(Namespace::Path(format!("/proc/{pid}/ns/net").into()));
        }
        let network = self.network().await?;
        let bandwidth = record.bandwidth;
        let mut wanted = self
            .resolve_networks(record)
            .map_err(|e| e.prefixed(FAILED))?;
        let named = wanted.iter_mut().filter(|(network, _)| network.has_names());
        for (_, attachment) in named {
            attachment.names = names_of(record, &attachment.settings);
        }
        note_names(container, &wanted);
        let names = wanted.iter().any(|(network, _)| network.has_names());
        let requests = wanted
            .iter()
            .map(|(network, attachment)| request(record, network, &attachment.settings))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| e.prefixed(FAILED))?;
        let opened = blocking::here(|| -> Result<_, Error> {
            let made = network.open_sandbox(&id, &requests, names)?;
            if !bandwidth.is_unlimited() {
                network.limit(&id, &bandwidth.into())?;
            }
            Ok(made)
        })
        .map_err(|e| e.prefixed(FAILED))?;
        for ((record, attachment), endpoint) in wanted.iter_mut().zip(opened.endpoints) {
            attachment.network_id.clone_from(&record.id);
            attachment.endpoint = Some(endpoint);
        }
        container.lock().record.networks = wanted
            .into_iter()
            .map(|(record, attachment)| (record.name, attachment))
            .collect();
        self.names.stale();
        if let Some(sockets) = opened.names {
            self.serve_names(&container.id, sockets);
        }
        self.publish_ports(container)
            .await
            .map_err(|e| e.prefixed(FAILED))?;
        Ok(Namespace::Path(opened.netns))
    }

    /// Its place on a network that gives no addresses.
    fn note_predefined(&self, container: &Container, name: &str) -> Result<(), Error> {
        let network = self.networks.find(name)?;
        let mut inner = container.lock();
        let attachment = inner.record.networks.entry(name.to_owned()).or_default();
        attachment.network_id.clone_from(&network.id);
        attachment.bare_id = ids::random_id()?;
        Ok(())
    }

    /// Where the network namespace is that a container has as its own while it runs, or the machine's.
    #[must_use]
    pub fn sandbox_key(&self, record: &Record) -> String {
        let shared = record.host_config.network_container().is_some();
        if record.state.pid().is_none() || shared || record.config.network_disabled {
            return String::new();
        }
        let name = match record.host_config.network_mode.as_str() {
            "host" => "default",
            _ => &record.id,
        };
        let path = self.options.run.join("network").join("netns").join(name);
        path.display().to_string()
    }

    /// Tells that a container has come to its networks, or left them.
    pub(crate) fn tell_of_networks(&self, container: &Container, action: &str) {
        let networks = container.lock().record.networks.clone();
        for attachment in networks.values().filter(|a| a.is_live()) {
            if let Ok(record) = self.networks.find(&attachment.network_id) {
                self.network_event(&record, action, Some(&container.id));
            }
        }
    }

    /// Tells of a start that has failed. Docker says that the container has left the networks that it
    /// would have joined, though it has told of no joining.
    pub(crate) fn tell_of_no_networks(&self, container: &Container) {
        let record = container.lock().record.clone();
        if record.config.network_disabled {
            return;
        }
        for name in record.networks.keys() {
            if let Ok(network) = self.networks.find(name) {
                self.network_event(&network, "disconnect", Some(&container.id));
            }
        }
    }

    /// A container's networks, that of its mode first.
    fn resolve_networks(&self, record: &Record) -> Result<Vec<(NetworkRecord, Attachment)>, Error> {
        let mode = record.host_config.network_mode.as_str();
        let mut found: Vec<(NetworkRecord, Attachment)> = Vec::new();
        for (name, attachment) in &record.networks {
            // One that was removed and made again has another id.
            let network = self.networks.find(name).or_else(|error| {
                self.networks
                    .find(&attachment.network_id)
                    .map_err(|_| error)
            })?;
            if network.config_only {
                return Err(Error::Forbidden(ONLY_PATTERN.into()));
            }
            if network.name == "host" {
                return Err(Error::Invalid(NOT_HOST.into()));
            }
            if let Some((_, known)) = found.iter_mut().find(|(other, _)| other.id == network.id) {
                if attachment.settings != EndpointSettings::default() {
                    known.settings.clone_from(&attachment.settings);
                }
                continue;
            }
            found.push((network, attachment.clone()));
        }
        let main = self.networks.find(mode).map(|network| network.id);
        found.sort_by_key(|(network, _)| main.as_ref().ok() != Some(&network.id));
        if let Some((_, first)) = found.first_mut()
            && first.settings.mac_address.is_empty()
        {
            first
                .settings
                .mac_address
                .clone_from(&record.config.mac_address);
        }
        Ok(found)
    }

    /// Gives a container's addresses and ports back. Its record still has them.
    pub(crate) async fn leave_networks(self: &Arc<Self>, container: &Arc<Container>) {
        if has_own_network(container) {
            self.withdraw_ports(container).await;
            self.stop_names(&container.id);
            let Ok(network) = self.network().await else {
                return;
            };
            if let Err(error) = blocking::here(|| network.leave_all(&container.id)) {
                tracing::warn!(container = container.id, %error, "leaving its networks failed");
            }
        }
    }

    /// Lets the namespace of a container go that has left its networks.
    pub(crate) async fn remove_network_namespace(self: &Arc<Self>, container: &Arc<Container>) {
        if !has_own_network(container) {
            return;
        }
        let Ok(network) = self.network().await else {
            return;
        };
        if let Err(error) = blocking::here(|| network.remove_namespace(&container.id)) {
            tracing::warn!(container = container.id, %error, "its network namespace stays");
        }
    }

    /// What an earlier engine has left of the networks of containers that run.
    pub(crate) async fn restore_endpoints(self: &Arc<Self>, network: &Arc<network::Networks>) {
        for container in self.all_containers() {
            if container.lock().record.state.pid().is_none() {
                continue;
            }
            // A start that could not be recorded any more.
            let endpoints = network.endpoints(&container.id);
            {
                let mut inner = container.lock();
                for endpoint in endpoints {
                    let name = endpoint.network_name.clone();
                    let attachment = inner.record.networks.entry(name).or_default();
                    attachment.network_id.clone_from(&endpoint.network_id);
                    attachment.endpoint.get_or_insert(endpoint);
                }
            }
            match network.reopen_names(&container.id) {
                Ok(Some(sockets)) => self.serve_names(&container.id, sockets),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(container = container.id, %error, "it finds no names any more");
                }
            }
            self.hold_ports(&container).await;
        }
        self.names.stale();
    }
}

/// Notes that a container has names on these networks, whether or not it comes to be there.
fn note_names(container: &Container, wanted: &[(NetworkRecord, Attachment)]) {
    let mut inner = container.lock();
    for (network, known) in wanted {
        if let Some(attachment) = inner.record.networks.get_mut(&network.name) {
            attachment.names.clone_from(&known.names);
        }
    }
}

/// Whether it has a network namespace of its own.
fn has_own_network(container: &Container) -> bool {
    let inner = container.lock();
    let mode = &inner.record.host_config.network_mode;
    mode != "host" && !mode.starts_with("container:")
}

/// What the network is asked for.
pub(super) fn request(
    record: &Record,
    network: &NetworkRecord,
    settings: &EndpointSettings,
) -> Result<Request, Error> {
    check_endpoint(Some(network), &network.name, settings)?;
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let (interface, sysctls) = options::endpoint(settings.driver_opts.as_ref());
    Ok(Request {
        network: network.id.clone(),
        ipv4: ipam.ipv4_address.parse().ok(),
        ipv6: ipam.ipv6_address.parse().ok(),
        without_ipv6: record.host_config.is_without_ipv6(),
        link_local: ipam
            .link_local_ips
            .iter()
            .flatten()
            .filter_map(|text| text.parse().ok())
            .collect(),
        mac: options::mac(&settings.mac_address)?,
        interface,
        sysctls,
        priority: settings.gw_priority,
        name: network.name.clone(),
    })
}
