//! Ports on macOS.

use std::net::SocketAddr;

use link::ports::Protocol;

/// Who has a port can't be seen without a private interface.
pub(in crate::ports) fn holder(_protocol: Protocol, _port: u16) -> Option<String> {
    None
}

/// Why a port is not allowed and what to do: macOS keeps ports below 1024 on single addresses only.
pub(in crate::ports) fn why_denied(_protocol: Protocol, address: SocketAddr) -> String {
    if address.port() >= 1024 || address.ip().is_unspecified() {
        return String::new();
    }
    format!(
        ": ports below 1024 on {} need a privilege that slipwayd does not have: publish on all \
         addresses, or a port from 1024 on",
        address.ip()
    )
}
