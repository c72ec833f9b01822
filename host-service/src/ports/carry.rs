//! TCP connections to a published port.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use link::ports::{Lead, Protocol, Target};
use link::{Opener, Service};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::balance::{Lease, Pool};
use super::{bind, host};

/// How long a connection waits for the link to come back.
const RELINK: Duration = Duration::from_secs(10);

/// How long a container may take to take a connection before another is tried.
const ANSWER: Duration = Duration::from_secs(10);

/// How long to wait when no connection can be accepted.
const RETRY: Duration = Duration::from_millis(100);

pub(super) type Links = watch::Receiver<Option<Opener>>;

/// Accepts connections until it is dropped.
pub(super) async fn accept(listener: TcpListener, pool: Arc<Pool>, links: Links) {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                told = false;
                tokio::spawn(connection(client, Arc::clone(&pool), links.clone()));
            }
            Err(error) => {
                // Others must close theirs first.
                if !std::mem::replace(&mut told, true) {
                    let why = if host::is_limit(&error) {
                        bind::limit()
                    } else {
                        error.to_string()
                    };
                    tracing::warn!(why, "a connection to a published port was not accepted");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn connection(mut client: TcpStream, pool: Arc<Pool>, links: Links) {
    let carried = async {
        client.set_nodelay(true)?;
        let (mut stream, lease) = find(&pool, links).await?;
        tokio::select! {
            copied = link::copy::both_ways(&mut client, &mut stream) => copied,
            () = lease.ended.cancelled() => Err(io::ErrorKind::ConnectionReset.into()),
        }
    };
    if let Err(error) = carried.await {
        tracing::debug!(%error, "a connection to a published port ended early");
        // The client is to see a break, not an end.
        let _ = client.set_zero_linger();
    }
}

/// A stream to one of the containers.
async fn find(pool: &Arc<Pool>, links: Links) -> io::Result<(Lead, Lease)> {
    let mut tried = Vec::new();
    let mut last = io::ErrorKind::ConnectionRefused.into();
    while let Some(lease) = pool.choose(&tried) {
        let mut stream = open(links.clone(), Protocol::Tcp, lease.target).await?;
        if pool.len() <= tried.len() + 1 {
            // There is nobody else to try, so nobody waits for the answer.
            return Ok((stream, lease));
        }
        let answered = tokio::time::timeout(ANSWER, stream.answered()).await;
        match answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) => return Ok((stream, lease)),
            Err(error) => last = error,
        }
        tried.push(lease.target);
    }
    Err(last)
}

/// A stream to an address in the machine.
pub(super) async fn open(
    mut links: Links,
    protocol: Protocol,
    address: SocketAddr,
) -> io::Result<Lead> {
    let live = links.wait_for(|link| link.as_ref().is_some_and(|link| !link.is_closed()));
    let link = tokio::time::timeout(RELINK, live)
        .await
        .ok()
        .and_then(|live| live.ok()?.clone())
        .ok_or_else(|| io::Error::other("there is no link to the machine's ports"))?;
    let stream = link.open(Service::Port).await.map_err(io::Error::other)?;
    Lead::ask(stream, Target { protocol, address }).await
}
