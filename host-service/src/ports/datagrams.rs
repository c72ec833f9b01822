//! UDP on a published port: a flow for each client, ended when it has been idle.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use link::datagrams::{receive, send};
use link::ports::Protocol;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::balance::{Lease, Pool};
use super::carry::{Links, open};

/// A flow without a datagram for so long is over.
const IDLE: Duration = Duration::from_secs(90);

/// Flows of one port at a time; further clients are not heard.
const FLOWS: usize = 4096;

/// Datagrams of a flow that wait for the link; more are lost.
const WAITING: usize = 256;

/// How long to wait after the socket gave an error.
const RETRY: Duration = Duration::from_millis(10);

type Flows = Arc<Mutex<HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>>>;

fn lock(flows: &Flows) -> MutexGuard<'_, HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>> {
    flows.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves a port until it is told to end; then its socket is closed.
pub(super) async fn serve(
    socket: UdpSocket,
    pool: Arc<Pool>,
    links: Links,
    ended: CancellationToken,
) {
    let socket = Arc::new(socket);
    let mut tasks = JoinSet::new();
    tokio::select! {
        () = receive_all(&socket, &mut tasks, &pool, &links) => {}
        () = ended.cancelled() => {}
    }
    tasks.shutdown().await;
}

async fn receive_all(
    socket: &Arc<UdpSocket>,
    tasks: &mut JoinSet<()>,
    pool: &Arc<Pool>,
    links: &Links,
) {
    let flows = Flows::default();
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            Some(_) = tasks.join_next() => continue,
        };
        let (length, client) = match received {
            Ok(received) => received,
            // An answer did not reach its client; no reason to stop.
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let datagram = buffer[..length].to_vec();
        let known = lock(&flows).get(&client).cloned();
        let flow = match known {
            Some(flow) if !flow.is_closed() => flow,
            _ if lock(&flows).len() >= FLOWS => continue,
            _ => {
                let Some(lease) = pool.choose(&[]) else {
                    continue;
                };
                let (flow, datagrams) = mpsc::channel(WAITING);
                lock(&flows).insert(client, flow.clone());
                let (socket, links, flows) = (socket.clone(), links.clone(), flows.clone());
                tasks.spawn(async move {
                    if let Err(error) = carry(&socket, client, &lease, links, datagrams).await {
                        tracing::debug!(%error, "a flow to a published port ended early");
                    }
                    lock(&flows).remove(&client);
                });
                flow
            }
        };
        // Datagrams that find no room are lost, as on any way that is too narrow.
        let _ = flow.try_send(datagram);
    }
}

/// One client's flow.
async fn carry(
    socket: &UdpSocket,
    client: SocketAddr,
    lease: &Lease,
    links: Links,
    mut datagrams: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    let stream = open(links, Protocol::Udp, lease.target).await?;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let last = Mutex::new(Instant::now());
    let touch = || *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    let up = async {
        while let Some(datagram) = datagrams.recv().await {
            touch();
            send(&mut writer, &datagram).await?;
        }
        Ok(())
    };
    let down = async {
        let mut datagram = Vec::new();
        while receive(&mut reader, &mut datagram).await?.is_some() {
            touch();
            // The client may be gone.
            let _ = socket.send_to(&datagram, client).await;
        }
        Ok(())
    };
    let idle = async {
        loop {
            let since = *last.lock().unwrap_or_else(PoisonError::into_inner);
            if since.elapsed() >= IDLE {
                return;
            }
            tokio::time::sleep_until(since + IDLE).await;
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
        () = idle => Ok(()),
        () = lease.ended.cancelled() => Ok(()),
    }
}
