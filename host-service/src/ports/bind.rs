//! Sockets that listen, and why there is none.

use std::io;
use std::net::SocketAddr;

use link::ports::Protocol;
use socket2::{Domain, Socket, Type};

use super::host;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// A socket on an address of this computer.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(tokio::net::TcpListener),
    Udp(tokio::net::UdpSocket),
}

impl Listening {
    /// Where it listens.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Udp(socket) => socket.local_addr(),
        }
    }
}

/// Listens on exactly this address; port 0 stands for any that is free.
pub(super) fn bind(protocol: Protocol, address: SocketAddr) -> io::Result<Listening> {
    let kind = match protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if host::REUSES_ADDRESSES && protocol == Protocol::Tcp {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    match protocol {
        Protocol::Tcp => {
            socket.listen(BACKLOG)?;
            tokio::net::TcpListener::from_std(socket.into()).map(Listening::Tcp)
        }
        Protocol::Udp => tokio::net::UdpSocket::from_std(socket.into()).map(Listening::Udp),
    }
}

/// Whether this computer has no such kind of address at all.
pub(super) fn is_unknown_kind(address: SocketAddr, error: &io::Error) -> bool {
    // EAFNOSUPPORT is among them, for which Rust has no name.
    address.is_ipv6()
        && address.ip().is_unspecified()
        && !matches!(
            error.kind(),
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
        )
        && !host::is_limit(error)
}

/// Why a port can't be had: Docker's words, then what is known and what to do.
pub(super) fn describe(protocol: Protocol, address: SocketAddr, error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::AddrInUse => {
            let who = host::holder(protocol, address.port());
            let who = who.map_or_else(String::new, |who| format!(": {who} listens there"));
            format!("address already in use{who}")
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "cannot assign requested address: no interface of your computer has {}",
            address.ip()
        ),
        io::ErrorKind::PermissionDenied => {
            format!("permission denied{}", host::why_denied(protocol, address))
        }
        _ if host::is_limit(error) => format!("too many open files: {}", limit()),
        _ => error.to_string(),
    };
    format!(
        "failed to bind host port {address}/{}: {what}",
        protocol.name()
    )
}

/// The limit of open files, and what to do.
pub(super) fn limit() -> String {
    let most = host::limit().map_or_else(String::new, |most| format!(" ({most})"));
    format!(
        "slipwayd has reached its limit of open files{most}, of which each connection to a \
         published port takes one: raise the hard limit and start slipwayd again"
    )
}
