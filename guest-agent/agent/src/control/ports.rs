//! The engine's orders about ports, in the link's words.

use std::sync::Arc;

use engine::{Engine, PortOrder, Protocol};
use link::control::{Condition, FromGuest, Port, Publication};
use tokio::sync::mpsc;

/// Passes orders on until somebody else takes them over.
pub(super) async fn forward(engine: &Arc<Engine>, say: &mpsc::UnboundedSender<FromGuest>) {
    // Before its state is read nobody knows what is published, and nothing must be closed.
    if engine.ready().await.is_err() {
        return;
    }
    let mut orders = engine.port_orders();
    while let Some(order) = orders.next().await {
        let message = match order {
            PortOrder::Publish { seq, publication } => FromGuest::Publish {
                seq,
                publication: translate(publication),
            },
            PortOrder::Withdraw { container } => FromGuest::Withdraw { container },
            PortOrder::Condition {
                container,
                condition: is,
            } => FromGuest::Condition {
                container,
                condition: condition(is),
            },
            PortOrder::Settled => FromGuest::Settled,
        };
        if say.send(message).is_err() {
            return;
        }
    }
}

fn translate(publication: engine::Publication) -> Publication {
    let ports = publication.ports.into_iter().filter_map(|port| {
        let protocol = match port.protocol {
            Protocol::Tcp => link::ports::Protocol::Tcp,
            Protocol::Udp => link::ports::Protocol::Udp,
            // The engine asks for none.
            Protocol::Sctp => return None,
        };
        Some(Port {
            protocol,
            hosts: port.hosts,
            range: port.range,
            target: port.target,
            group: port.group,
        })
    });
    Publication {
        container: publication.container,
        name: publication.name,
        condition: condition(publication.condition),
        ports: ports.collect(),
    }
}

fn condition(condition: engine::Condition) -> Condition {
    match condition {
        engine::Condition::Ready => Condition::Ready,
        engine::Condition::Unready => Condition::Unready,
        engine::Condition::Stopping => Condition::Stopping,
    }
}
