//! Who has which port of the machine.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};

use network::Protocol;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio_util::sync::DropGuard;

use super::proxy;
use crate::Error;
use crate::error::go_text;

/// A port of the machine and where it leads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    pub(super) protocol: Protocol,
    pub(super) host: SocketAddr,
    pub(super) target: SocketAddr,
}

/// A port that is taken.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) claim: Claim,
    container: String,
    name: String,
    /// Replicas of this service share it.
    group: Option<String>,
    socket: Socket,
}

/// What keeps others from a port.
#[derive(Debug)]
enum Socket {
    Tcp(#[expect(dead_code, reason = "it holds the port")] TcpListener),
    Udp(#[expect(dead_code, reason = "it holds the port")] UdpSocket),
    /// A task carries on what arrives.
    Proxy(#[expect(dead_code, reason = "it ends the task when dropped")] DropGuard),
    /// A replica of the same service holds it, or nothing has to.
    Shared,
}

/// All ports that are taken.
#[derive(Debug, Default)]
pub(crate) struct PortTable {
    held: Mutex<Vec<Held>>,
}

impl PortTable {
    fn lock(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of these ports for a container, or none.
    pub(super) fn take(
        &self,
        container: &str,
        name: &str,
        group: Option<&str>,
        claims: Vec<Claim>,
    ) -> Result<Vec<Claim>, Error> {
        let mut held = self.lock();
        let mut taken = Vec::new();
        for claim in &claims {
            let other = held.iter().find(|other| other.meets(claim));
            let shared = match other {
                None => false,
                Some(other)
                    if group.is_some()
                        && other.group.as_deref() == group
                        && other.claim.host == claim.host
                        && other.container != container =>
                {
                    true
                }
                Some(other) => {
                    return Err(Error::System(format!(
                        "Bind for {} failed: port is already allocated: container {} ({}) has published it",
                        claim.host,
                        other.name,
                        crate::ids::short(&other.container)
                    )));
                }
            };
            let socket = match (shared, claim.protocol) {
                (true, _) | (_, Protocol::Sctp) => Socket::Shared,
                (false, _) => bind(claim).map_err(|error| failed(claim, &error))?,
            };
            taken.push(Held {
                claim: claim.clone(),
                container: container.to_owned(),
                name: name.to_owned(),
                group: group.map(str::to_owned),
                socket,
            });
        }
        held.extend(taken);
        Ok(claims)
    }

    /// Gives all ports of a container back; a replica that shared one takes it over.
    pub(super) fn release(&self, container: &str) {
        let mut held = self.lock();
        let (gone, kept): (Vec<Held>, Vec<Held>) = std::mem::take(&mut *held)
            .into_iter()
            .partition(|one| one.container == container);
        *held = kept;
        let hosts: Vec<(Claim, bool)> = gone
            .iter()
            .map(|one| (one.claim.clone(), matches!(one.socket, Socket::Shared)))
            .collect();
        drop(gone);
        for (claim, _) in hosts.iter().filter(|(_, shared)| !shared) {
            let heir = held
                .iter_mut()
                .find(|one| one.claim.host == claim.host && one.claim.protocol == claim.protocol);
            if let Some(heir) = heir {
                match bind(&heir.claim) {
                    Ok(socket) => heir.socket = socket,
                    Err(error) => {
                        tracing::warn!(host = %claim.host, %error, "a shared port is not held");
                    }
                }
            }
        }
    }
}

fn failed(claim: &Claim, error: &io::Error) -> Error {
    let holder = crate::networks::holder_of(claim.protocol, claim.host.port());
    let who = holder.map_or_else(String::new, |who| format!(": {who} listens there"));
    Error::System(format!(
        "failed to bind host port {}/{}: {}{who}",
        claim.host,
        claim.protocol.name(),
        go_text(error)
    ))
}

fn bind(claim: &Claim) -> io::Result<Socket> {
    let family = if claim.host.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let kind = match claim.protocol {
        Protocol::Udp => SocketType::DGRAM,
        _ => SocketType::STREAM,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if claim.host.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if claim.protocol == Protocol::Udp {
        rustix::net::bind(&socket, &claim.host)?;
        let socket = UdpSocket::from(socket);
        return match claim.needs_proxy() {
            true => proxy::udp(socket, claim.target).map(Socket::Proxy),
            false => Ok(Socket::Udp(socket)),
        };
    }
    // Connections that are still being closed are no reason to wait.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &claim.host)?;
    rustix::net::listen(&socket, 1024)?;
    let listener = TcpListener::from(socket);
    if claim.needs_proxy() {
        return proxy::tcp(listener, claim.target).map(Socket::Proxy);
    }
    Ok(Socket::Tcp(listener))
}
