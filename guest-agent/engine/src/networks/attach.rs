//! A container's networks at its start and its end.

use std::sync::Arc;

use network::Request;
use runtime::spec::Namespace;

use super::{Attachment, EndpointSettings, NetworkRecord, options};
use crate::containers::{Container, Record};
use crate::{Engine, Error, blocking};

/// In front of whatever keeps a container from its networks.
const FAILED: &str = "failed to set up container networking: ";

impl Engine {
    /// Connects a container that starts to its networks.
    pub(crate) async fn join_networks(
        self: &Arc<Self>,
        container: &Arc<Container>,
        record: &Record,
    ) -> Result<Namespace, Error> {
        let id = container.id.clone();
        let mode = record.host_config.network_mode.as_str();
        if record.config.network_disabled || mode == "none" {
            let network = self.network().await?;
            self.note_predefined(container, "none");
            let made = blocking::here(|| network.open_sandbox(&id, &[], false))?;
            return Ok(Namespace::Path(made.netns));
        }
        if mode == "host" {
            self.note_predefined(container, "host");
            return Ok(Namespace::Host);
        }
        if let Some(other) = record.host_config.network_container() {
            let pid = self.pid_of(other).map_err(|e| match e {
                Error::Conflict(_) => Error::Conflict(format!(
                    "cannot join network of a non running container: {other}"
                )),
                e => Error::System(format!("joining network namespace of container: {e}")),
            })?;
            return Ok(Namespace::Path(format!("/proc/{pid}/ns/net").into()));
        }
        let network = self.network().await?;
        let engine = Arc::clone(self);
        let bandwidth = record.bandwidth;
        let mut wanted = self
            .resolve_networks(record)
            .map_err(|e| e.prefixed(FAILED))?;
        let names = wanted.iter().any(|(network, _)| network.has_names());
        let requests = wanted
            .iter()
            .map(|(network, attachment)| request(network, &attachment.settings))
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
            engine.network_event(record, "connect", Some(&container.id));
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

    fn note_predefined(&self, container: &Container, name: &str) {
        if let Ok(network) = self.networks.find(name) {
            let mut inner = container.lock();
            let attachment = inner.record.networks.entry(name.to_owned()).or_default();
            attachment.network_id = network.id;
        }
    }

    /// A container's networks, that of its mode first.
    fn resolve_networks(&self, record: &Record) -> Result<Vec<(NetworkRecord, Attachment)>, Error> {
        let mode = record.host_config.network_mode.as_str();
        let mut found: Vec<(NetworkRecord, Attachment)> = Vec::new();
        let own = record.networks.get(mode).cloned().unwrap_or_default();
        let others = record.networks.iter().filter(|(name, _)| *name != mode);
        let all = std::iter::once((mode, own))
            .chain(others.map(|(name, attachment)| (name.as_str(), attachment.clone())));
        for (name, attachment) in all {
            // One that was removed and made again has another id.
            let network = self.networks.find(name).or_else(|error| {
                self.networks
                    .find(&attachment.network_id)
                    .map_err(|_| error)
            })?;
            if network.config_only {
                return Err(Error::Forbidden(format!(
                    "cannot use network {name}: it is a configuration-only network"
                )));
            }
            if let Some((_, known)) = found.iter_mut().find(|(other, _)| other.id == network.id) {
                if attachment.settings != EndpointSettings::default() {
                    known.settings = attachment.settings;
                }
                continue;
            }
            found.push((network, attachment));
        }
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

    /// Gives a container's addresses and ports back.
    pub(crate) async fn leave_networks(self: &Arc<Self>, container: &Arc<Container>) {
        let networks = container.lock().record.networks.clone();
        if !has_own_network(container) {
            return;
        }
        self.withdraw_ports(container).await;
        self.stop_names(&container.id);
        let Ok(network) = self.network().await else {
            return;
        };
        if let Err(error) = blocking::here(|| network.leave_all(&container.id)) {
            tracing::warn!(container = container.id, %error, "leaving its networks failed");
        }
        for attachment in networks.values().filter(|a| a.endpoint.is_some()) {
            if let Ok(record) = self.networks.find(&attachment.network_id) {
                self.network_event(&record, "disconnect", Some(&container.id));
            }
        }
        container.lock().record.leave_all();
        self.names.stale();
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

/// Whether it has a network namespace of its own.
fn has_own_network(container: &Container) -> bool {
    let inner = container.lock();
    let mode = &inner.record.host_config.network_mode;
    mode != "host" && !mode.starts_with("container:")
}

/// What the network is asked for.
pub(super) fn request(
    network: &NetworkRecord,
    settings: &EndpointSettings,
) -> Result<Request, Error> {
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let address = |text: &str| match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            Error::Invalid(format!(
                "invalid endpoint settings:\ninvalid IP address: {text}"
            ))
        }),
    };
    let (ipv4, ipv6) = (address(&ipam.ipv4_address)?, address(&ipam.ipv6_address)?);
    if network.is_predefined() {
        if ipv4.is_some() || ipv6.is_some() {
            return Err(Error::Invalid(
                "user specified IP address is supported on user defined networks only".into(),
            ));
        }
        if settings.aliases.iter().flatten().next().is_some() {
            return Err(Error::Invalid(
                "network-scoped alias is supported only for containers in user defined networks"
                    .into(),
            ));
        }
    }
    let (interface, sysctls) = options::endpoint(settings.driver_opts.as_ref());
    Ok(Request {
        network: network.id.clone(),
        ipv4,
        ipv6,
        mac: options::mac(&settings.mac_address)?,
        interface,
        sysctls,
        priority: settings.gw_priority,
        name: network.name.clone(),
    })
}
