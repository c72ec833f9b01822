//! The engine's default network: a bridge with leased addresses, a network namespace a container,
//! and the firewall between containers, the machine and the outside. All calls block for a few
//! milliseconds at most; asynchronous callers go through a blocking thread.
//!
//! Nothing outside our own bridge, our own `sw-…` interfaces, our own nftables table and our own
//! run directory is ever changed, except that IPv4 forwarding is switched on.

mod bandwidth;
mod bridge;
mod endpoint;
mod error;
mod firewall;
mod identity;
mod leases;
mod messages;
mod namespace;
mod netlink;
mod network;
mod options;
mod resolvers;
mod routes;
mod subnet;
mod sweeper;

pub use bandwidth::Bandwidth;
pub use endpoint::{Endpoint, NetworkInfo};
pub use error::Error;
pub use network::Network;
pub use options::{NameServers, Options};
pub use resolvers::Resolvers;
pub use subnet::Subnet;

#[cfg(test)]
mod tests;
