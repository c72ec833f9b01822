//! The networks that every Docker has: `bridge`, `host` and `none`.

use std::sync::Arc;

use crate::containers::{Container, Snapshot};
use crate::events::Subject;
use crate::{Engine, Error};

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkKind {
    /// The default bridge.
    Bridge,
    /// The machine's own network.
    Host,
    /// Loopback only.
    None,
}

impl NetworkKind {
    /// Docker's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
        }
    }

    /// Docker's driver for it.
    #[must_use]
    pub fn driver(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "null",
        }
    }
}

/// A network at one instant.
#[derive(Debug, Clone)]
pub struct NetworkSnapshot {
    /// Which.
    pub kind: NetworkKind,
    /// 64 hexadecimal digits.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// Subnet, gateway and bridge, of the bridge network.
    pub bridge: Option<network::NetworkInfo>,
    /// Running containers on it.
    pub containers: Vec<Snapshot>,
}

impl Engine {
    /// All networks.
    pub async fn list_networks(self: &Arc<Self>) -> Result<Vec<NetworkSnapshot>, Error> {
        let info = self.network().await?.info();
        let running: Vec<Snapshot> = self
            .all_containers()
            .iter()
            .map(|container| container.snapshot())
            .filter(|snapshot| snapshot.record.state.pid().is_some())
            .collect();
        Ok([NetworkKind::Bridge, NetworkKind::Host, NetworkKind::None]
            .into_iter()
            .map(|kind| NetworkSnapshot {
                kind,
                id: derived_id(&info.id, kind),
                created: info.created.clone(),
                bridge: (kind == NetworkKind::Bridge).then(|| info.clone()),
                containers: running
                    .iter()
                    .filter(|c| c.record.host_config.network_mode == kind.name())
                    .cloned()
                    .collect(),
            })
            .collect())
    }

    /// The network with that name, id or unique id prefix.
    pub async fn find_network(self: &Arc<Self>, name: &str) -> Result<NetworkSnapshot, Error> {
        self.list_networks()
            .await?
            .into_iter()
            .find(|n| {
                n.kind.name() == name || n.id == name || (name.len() >= 2 && n.id.starts_with(name))
            })
            .ok_or_else(|| Error::NotFound(format!("network {name} not found")))
    }

    pub(crate) fn network_event(&self, container: &Container, action: &str, network: &str) {
        let attributes = [
            ("container", container.id.as_str()),
            ("name", "bridge"),
            ("type", "bridge"),
        ];
        self.events.publish(
            Subject::Network,
            action,
            network,
            attributes
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        );
    }
}

/// Ids of `host` and `none` that are stable because they follow from the bridge's.
fn derived_id(bridge: &str, kind: NetworkKind) -> String {
    match kind {
        NetworkKind::Bridge => bridge.to_owned(),
        NetworkKind::Host => bridge.chars().rev().collect(),
        NetworkKind::None => {
            let (head, tail) = bridge.split_at(bridge.len() / 2);
            format!("{tail}{head}")
        }
    }
}
