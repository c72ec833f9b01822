//! Carries on to containers what arrives at the machine's own sockets, where the kernel can't lead it:
//! IPv6 for containers that have none, and the IPv6 loopback address.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

/// A client that sends nothing and is sent nothing for so long is forgotten, as with Docker.
const IDLE: Duration = Duration::from_secs(90);

/// Clients of one UDP port at a time; others are not heard.
const CLIENTS: usize = 4096;

/// Carries connections until the guard is dropped.
pub(super) fn tcp(listener: TcpListener, target: SocketAddr) -> io::Result<DropGuard> {
    let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let _inside = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let end = CancellationToken::new();
    let ended = end.clone();
    runtime.spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ended.cancelled() => return,
            };
            match accepted {
                Ok((client, _)) => drop(tokio::spawn(carry(client, target))),
                Err(error) => {
                    tracing::warn!(%error, "a connection to a published port failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(end.drop_guard())
}

async fn carry(mut client: tokio::net::TcpStream, target: SocketAddr) {
    if let Ok(mut container) = tokio::net::TcpStream::connect(target).await {
        // Whoever ends the connection has seen to it that both know.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut container).await;
    }
}

/// Carries datagrams until the guard is dropped.
pub(super) fn udp(socket: UdpSocket, target: SocketAddr) -> io::Result<DropGuard> {
    let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let _inside = runtime.enter();
    let end = CancellationToken::new();
    let port = Arc::new(Port {
        socket: tokio::net::UdpSocket::from_std(socket)?,
        target,
        clients: Mutex::default(),
        ended: end.clone(),
    });
    runtime.spawn(async move {
        tokio::select! {
            () = port.serve() => {}
            () = port.ended.cancelled() => {}
        }
    });
    Ok(end.drop_guard())
}

/// A UDP port, and a socket towards the container for each client.
struct Port {
    socket: tokio::net::UdpSocket,
    target: SocketAddr,
    clients: Mutex<HashMap<SocketAddr, Arc<tokio::net::UdpSocket>>>,
    ended: CancellationToken,
}

impl Port {
    async fn serve(self: &Arc<Self>) {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            // An error is of an earlier answer, whose client is gone.
            let Ok((length, client)) = self.socket.recv_from(&mut buffer).await else {
                continue;
            };
            if let Some(flow) = self.flow(client).await {
                // A container that does not listen hears nothing.
                let _ = flow.send(buffer.get(..length).unwrap_or_default()).await;
            }
        }
    }

    async fn flow(self: &Arc<Self>, client: SocketAddr) -> Option<Arc<tokio::net::UdpSocket>> {
        {
            let clients = self.lock();
            if let Some(flow) = clients.get(&client) {
                return Some(Arc::clone(flow));
            }
            if clients.len() >= CLIENTS {
                return None;
            }
        }
        let any: SocketAddr = match self.target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let flow = tokio::net::UdpSocket::bind(any).await.ok()?;
        flow.connect(self.target).await.ok()?;
        let flow = Arc::new(flow);
        self.lock().insert(client, Arc::clone(&flow));
        let (port, own) = (Arc::clone(self), Arc::clone(&flow));
        tokio::spawn(async move {
            tokio::select! {
                () = port.answers(&own, client) => {}
                () = port.ended.cancelled() => {}
            }
            port.lock().remove(&client);
        });
        Some(flow)
    }

    async fn answers(&self, flow: &tokio::net::UdpSocket, client: SocketAddr) {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        while let Ok(received) = tokio::time::timeout(IDLE, flow.recv(&mut buffer)).await {
            if let Ok(length) = received {
                let answer = buffer.get(..length).unwrap_or_default();
                let _ = self.socket.send_to(answer, client).await;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Arc<tokio::net::UdpSocket>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
