//! `docker network connect` and `disconnect`.

use std::sync::Arc;

use super::attach::request;
use super::{Attachment, EndpointSettings};
use crate::{Engine, Error, blocking};

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct ConnectRequest {
    /// The container.
    pub container: String,
    /// Its place on the network.
    pub settings: EndpointSettings,
}

impl Engine {
    /// Connects a container to a network: at once if it runs, otherwise from its next start.
    pub async fn connect_network(
        self: &Arc<Self>,
        name: &str,
        request: ConnectRequest,
    ) -> Result<(), Error> {
        let network = self.networks.find(name)?;
        let container = self.container(&request.container)?;
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            let _alone = engine.networks.changing.lock().await;
            let (mode, runs, known) = {
                let inner = container.lock();
                let record = &inner.record;
                let known = record.networks.get(&network.name);
                (
                    record.host_config.network_mode.clone(),
                    record.state.pid().is_some(),
                    known.is_some_and(|known| known.endpoint.is_some()),
                )
            };
            refuse_mode(&mode, &network.name)?;
            let wanted = self::request(&network, &request.settings)?;
            if known {
                return Err(Error::Forbidden(format!(
                    "endpoint with name {} already exists in network {}",
                    container.lock().record.name,
                    network.name
                )));
            }
            let mut attachment = Attachment {
                network_id: network.id.clone(),
                settings: request.settings,
                endpoint: None,
            };
            if runs {
                let networks = engine.network().await?;
                let (id, names) = (container.id.clone(), network.has_names());
                let bandwidth = container.lock().record.bandwidth;
                let endpoint = blocking::run(move || {
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
                attachment.endpoint = Some(endpoint.0);
                if let Some(sockets) = endpoint.1 {
                    engine.serve_names(&container.id, sockets);
                }
            }
            let name = network.name.clone();
            container.lock().record.networks.insert(name, attachment);
            engine.names.stale();
            engine.rewrite_host_files(&container).await;
            container.changed();
            container.save().await?;
            engine.network_event(&network, "connect", Some(&container.id));
            Ok(())
        })
        .await
    }

    /// Takes a container off a network.
    pub async fn disconnect_network(
        self: &Arc<Self>,
        name: &str,
        container: &str,
        force: bool,
    ) -> Result<(), Error> {
        let network = self.networks.find(name)?;
        let container = match self.container(container) {
            Err(Error::NotFound(_)) if force => return Ok(()),
            other => other?,
        };
        let engine = Arc::clone(self);
        blocking::to_the_end(async move {
            let _alone = engine.networks.changing.lock().await;
            let (mode, attachment, runs) = {
                let inner = container.lock();
                let record = &inner.record;
                (
                    record.host_config.network_mode.clone(),
                    record.networks.get(&network.name).cloned(),
                    !record.state.is_starting() && record.state.pid().is_some(),
                )
            };
            if network.name == "host" || mode == "host" {
                return Err(Error::Forbidden(
                    "container cannot be disconnected from host network or connected to host network"
                        .into(),
                ));
            }
            let Some(attachment) = attachment else {
                return Err(Error::System(format!(
                    "container {} is not connected to network {}",
                    container.id, network.name
                )));
            };
            if runs && attachment.endpoint.is_some() {
                let networks = engine.network().await?;
                let (id, of) = (container.id.clone(), network.id.clone());
                blocking::run(move || Ok(networks.leave(&id, &of)?)).await?;
            }
            container.lock().record.networks.remove(&network.name);
            engine.names.stale();
            engine.rewrite_host_files(&container).await;
            engine.move_ports(&container).await;
            container.changed();
            container.save().await?;
            engine.network_event(&network, "disconnect", Some(&container.id));
            Ok(())
        })
        .await
    }
}

/// Some containers have no networks of their own.
fn refuse_mode(mode: &str, network: &str) -> Result<(), Error> {
    if mode == "host" || network == "host" {
        return Err(Error::Forbidden(
            "container cannot be disconnected from host network or connected to host network"
                .into(),
        ));
    }
    if mode.starts_with("container:") {
        return Err(Error::Forbidden(
            "container sharing network namespace with another container or host cannot be connected to any other network"
                .into(),
        ));
    }
    if mode == "none" || network == "none" {
        return Err(Error::Forbidden(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
                .into(),
        ));
    }
    Ok(())
}
