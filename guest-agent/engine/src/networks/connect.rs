//! `docker network connect` and `disconnect`.

use std::sync::Arc;

use network::Request;

use super::attach::{ONLY_PATTERN, request};
use super::ports::way_in_id;
use super::{Attachment, EndpointSettings, NetworkRecord, check_endpoint, names_of};
use crate::containers::{Container, Record};
use crate::{Engine, Error, blocking};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct ConnectRequest {
    /// The container.
    pub container: String,
    /// Its place on the network.
    pub settings: EndpointSettings,
}

/// What keeps a container from a network, with dockerd's words.
const SHARED: &str = "container sharing network namespace with another container or host cannot be connected to any other network";
const TO_HOST: &str =
    "cannot connect container to host network - container must be created in host network mode";
const FROM_HOST: &str =
    "cannot disconnect container from host network - container was created in host network mode";
const NONE: &str = "container cannot be connected to multiple networks with one of the networks in private (none) mode";

impl Engine {
    /// Connects a container to a network: at once if it runs, otherwise from its next start.
    pub async fn connect_network(
        self: &Arc<Self>,
        name: &str,
        request: ConnectRequest,
    ) -> Result<(), Error> {
        let container = self.container(&request.container)?;
        let name = name.to_owned();
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            let _alone = engine.networks.changing.lock().await;
            let runs = container.lock().record.state.pid().is_some();
            let network = match engine.networks.find(&name) {
                Ok(network) => network,
                // It may be there at the next start.
                Err(Error::NotFound(_)) if !runs => {
                    note(&container, name, request.settings, Vec::new());
                    return container.save().await;
                }
                Err(error) => return Err(error),
            };
            check_endpoint(Some(&network), &network.name, &request.settings)?;
            let known = {
                let inner = container.lock();
                refuse(&inner.record, &network)?;
                inner.record.networks.get(&network.name).cloned()
            };
            if runs {
                if known.is_some_and(|known| known.is_live()) {
                    return Err(Error::Forbidden(format!(
                        "endpoint with name {} already exists in network {}",
                        container.lock().record.name,
                        network.name
                    )));
                }
                engine
                    .connect_running(&container, &network, request.settings)
                    .await?;
            } else if known.is_none() {
                let names = names_on(&container, &network, &request.settings);
                note(&container, network.name, request.settings, names);
            }
            container.changed();
            container.save().await
        })
        .await
    }

    async fn connect_running(
        self: &Arc<Self>,
        container: &Arc<Container>,
        network: &NetworkRecord,
        settings: EndpointSettings,
    ) -> Result<(), Error> {
        if network.config_only {
            return Err(Error::Forbidden(ONLY_PATTERN.into()));
        }
        let wanted = request(&container.lock().record, network, &settings)?;
        let before = way_in_id(container);
        let endpoint = self.join_running(container, network, wanted).await?;
        let attachment = Attachment {
            network_id: network.id.clone(),
            names: names_on(container, network, &settings),
            settings,
            endpoint: Some(endpoint),
            ..Attachment::default()
        };
        let name = network.name.clone();
        container.lock().record.networks.insert(name, attachment);
        self.names.stale();
        self.rewrite_host_files(container).await;
        self.move_ports(container, before.as_deref()).await;
        self.network_event(network, "connect", Some(&container.id));
        Ok(())
    }

    async fn join_running(
        self: &Arc<Self>,
        container: &Arc<Container>,
        network: &NetworkRecord,
        wanted: Request,
    ) -> Result<network::Endpoint, Error> {
        let networks = self.network().await?;
        let (id, names) = (container.id.clone(), network.has_names());
        let bandwidth = container.lock().record.bandwidth;
        let (endpoint, sockets) = blocking::run(move || {
            let endpoint = networks.join(&id, &wanted)?;
            if !bandwidth.is_unlimited() {
                networks.limit(&id, &bandwidth.into())?;
            }
            let sockets = match names {
                true => networks.open_names(&id)?,
                false => None,
            };
            Ok((endpoint, sockets))
        })
        .await?;
        if let Some(sockets) = sockets {
            self.serve_names(&container.id, sockets);
        }
        Ok(endpoint)
    }

    /// Takes a container off a network.
    pub async fn disconnect_network(
        self: &Arc<Self>,
        name: &str,
        container: &str,
        force: bool,
    ) -> Result<(), Error> {
        let container = match self.container(container) {
            Err(Error::NotFound(_)) if force => {
                self.networks.find(name)?;
                return Err(Error::NotFound(format!("endpoint {container} not found")));
            }
            other => other?,
        };
        let name = name.to_owned();
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            let _alone = engine.networks.changing.lock().await;
            let runs = {
                let state = container.lock().record.state;
                !state.is_starting() && state.pid().is_some()
            };
            let network = engine.networks.find(&name);
            match network {
                Ok(network) if runs => engine.disconnect_running(&container, &network).await?,
                Err(error) if runs && !force => return Err(error),
                network => {
                    let name = network.map_or(name, |network| network.name);
                    forget(&container, &name, "the ")?;
                    engine.names.stale();
                }
            }
            container.changed();
            container.save().await
        })
        .await
    }

    async fn disconnect_running(
        self: &Arc<Self>,
        container: &Arc<Container>,
        network: &NetworkRecord,
    ) -> Result<(), Error> {
        let host = container.lock().record.host_config.network_mode == "host";
        if host && network.name == "host" {
            return Err(Error::Invalid(FROM_HOST.into()));
        }
        let before = way_in_id(container);
        let attachment = forget(container, &network.name, "")?;
        if attachment.endpoint.is_some() {
            let networks = self.network().await?;
            let (id, of) = (container.id.clone(), network.id.clone());
            let left = blocking::run(move || Ok(networks.leave(&id, &of)?)).await;
            if let Err(error) = left {
                let mut inner = container.lock();
                let networks = &mut inner.record.networks;
                networks.insert(network.name.clone(), attachment);
                return Err(error);
            }
        }
        self.names.stale();
        self.rewrite_host_files(container).await;
        self.move_ports(container, before.as_deref()).await;
        self.network_event(network, "disconnect", Some(&container.id));
        Ok(())
    }
}

/// The names that a container has on a network.
fn names_on(
    container: &Container,
    network: &NetworkRecord,
    settings: &EndpointSettings,
) -> Vec<String> {
    match network.has_names() {
        true => names_of(&container.lock().record, settings),
        false => Vec::new(),
    }
}

/// Notes a network for the next start, and the names that the container has there already.
fn note(container: &Container, name: String, settings: EndpointSettings, names: Vec<String>) {
    let attachment = Attachment {
        settings,
        names,
        ..Attachment::default()
    };
    container.lock().record.networks.insert(name, attachment);
}

/// Takes a network off a container's record.
fn forget(container: &Container, name: &str, the: &str) -> Result<Attachment, Error> {
    let gone = container.lock().record.networks.remove(name);
    gone.ok_or_else(|| {
        Error::System(format!(
            "container {} is not connected to {the}network {name}",
            container.id
        ))
    })
}

/// Some networks go with no other.
fn refuse(record: &Record, network: &NetworkRecord) -> Result<(), Error> {
    let mode = record.host_config.network_mode.as_str();
    let refused = |why: &str| Err(Error::Invalid(why.into()));
    if mode.starts_with("container:") {
        return refused(SHARED);
    }
    if mode != "host" && network.name == "host" {
        return refused(TO_HOST);
    }
    let mut others = record.networks.keys().filter(|name| **name != network.name);
    if others.clone().any(|name| name == "host") {
        return refused(SHARED);
    }
    if others.clone().next().is_some() && network.name == "none"
        || others.any(|name| name == "none")
    {
        return refused(NONE);
    }
    Ok(())
}
