//! Ports on Windows.

use std::io;
use std::net::SocketAddr;
use std::process::Command;

use link::ports::Protocol;

use crate::ports::excluded;

/// The option for it would share a port with other programs.
pub(in crate::ports) const REUSES_ADDRESSES: bool = false;

/// `WSAEMFILE`.
const TOO_MANY: i32 = 10_024;

/// Windows has no such limit.
pub(crate) fn raise_limit() {}

/// Windows has no such limit.
pub(in crate::ports) fn limit() -> Option<u64> {
    None
}

/// Whether the number of sockets is the reason.
pub(in crate::ports) fn is_limit(error: &io::Error) -> bool {
    error.raw_os_error() == Some(TOO_MANY)
}

/// Who has a port is not looked for.
pub(in crate::ports) fn holder(_protocol: Protocol, _port: u16) -> Option<String> {
    None
}

/// Why a port is not allowed (`WSAEACCES`) and what to do.
pub(in crate::ports) fn why_denied(protocol: Protocol, address: SocketAddr) -> String {
    let kind = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    let asked = Command::new("netsh")
        .args(["interface", kind, "show", "excludedportrange"])
        .arg(format!("protocol={}", protocol.name()))
        .output();
    let ranges = asked.map_or_else(
        |_| Vec::new(),
        |said| excluded::parse(&String::from_utf8_lossy(&said.stdout)),
    );
    let why = excluded::describe(address.port(), &ranges).unwrap_or_else(|| {
        "another program has the port for itself, or Windows excludes it: publish another port"
            .to_owned()
    });
    format!(": {why}")
}
