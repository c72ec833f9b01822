//! The control stream: hello, the clock, published ports, the shutdown.

mod ports;

use std::sync::Arc;
use std::time::Duration;

use engine::image::{HostNetwork, Proxies};
use engine::{Engine, Machine};
use link::control::{FromGuest, FromHost, split};
use tokio::sync::mpsc;

use crate::{clock, disk};

/// Answers one control stream until it ends.
pub(crate) async fn serve(stream: link::Stream, engine: Arc<Engine>, machine: Machine) {
    if let Err(error) = converse(stream, engine, machine).await {
        tracing::warn!(%error, "the control stream broke");
    }
}

async fn converse(
    stream: link::Stream,
    engine: Arc<Engine>,
    machine: Machine,
) -> Result<(), link::Error> {
    let (mut reader, mut writer) = split(stream);
    // The size of the data disk is known once it is mounted.
    engine.connected().await;
    let hello = FromGuest::Hello {
        version: engine::VERSION.to_owned(),
        kernel: engine.kernel(),
        warnings: engine.missing_limits().into_iter().collect(),
        disk_bytes: disk::size(&engine.options().root),
    };
    writer.send(&hello).await?;
    let (say, mut said) = mpsc::unbounded_channel();
    let telling = async {
        while let Some(message) = said.recv().await {
            writer.send(&message).await?;
        }
        Ok(())
    };
    let publishing = async {
        // Natively ports are the host's own.
        if machine == Machine::Vm {
            ports::forward(&engine, &say).await;
        }
        std::future::pending().await
    };
    let listening = async {
        while let Some(message) = reader.receive::<FromHost>().await? {
            obey(message, &engine, machine, &say);
        }
        Ok(())
    };
    tokio::select! {
        ended = listening => ended,
        ended = telling => ended,
        ended = publishing => ended,
    }
}

fn obey(
    message: FromHost,
    engine: &Arc<Engine>,
    machine: Machine,
    say: &mpsc::UnboundedSender<FromGuest>,
) {
    match message {
        FromHost::Shutdown { timeout_s } => {
            tracing::info!(timeout_s, "the host asks for a shutdown");
            // The host may be gone by now, which changes nothing.
            let _ = say.send(FromGuest::Stopping);
            let engine = Arc::clone(engine);
            tokio::spawn(async move {
                engine.power_off(Duration::from_secs(timeout_s)).await;
            });
        }
        // Natively the clock is the host's own.
        FromHost::Clock { unix_ns } if machine == Machine::Vm => clock::set(unix_ns),
        FromHost::Clock { .. } => {}
        FromHost::Network {
            http_proxy,
            https_proxy,
            no_proxy,
            certificates,
        } => {
            let proxies = Proxies {
                http_proxy,
                https_proxy,
                no_proxy,
            };
            engine.set_host_network(HostNetwork {
                proxies,
                certificates,
            });
        }
        FromHost::Routes { subnets } => {
            // One that is no subnet is of a newer kind.
            let routes = subnets.iter().filter_map(|text| text.parse().ok());
            engine.set_host_routes(routes.collect());
        }
        FromHost::Published { seq, open } => engine.answer_ports(seq, Ok(open)),
        FromHost::Refused { seq, reason } => engine.answer_ports(seq, Err(reason)),
        FromHost::Unknown => tracing::warn!("the host says something that is not understood"),
    }
}
