//! Networks of containers: bridges with leased addresses, a network namespace a container, and the
//! firewall between containers, the machine and the outside. All calls block for a few
//! milliseconds at most; asynchronous callers go through a blocking thread.
//!
//! Nothing outside our own interfaces (marked as ours, or `sw-…` on one of them), our own nftables
//! table and our own run directory is ever changed, except that forwarding is switched on.

mod bandwidth;
mod bridge;
mod endpoint;
mod error;
mod firewall;
mod leases;
mod messages;
mod names;
mod namespace;
mod netlink;
mod networks;
mod options;
mod pool;
mod published;
mod resolvers;
mod routes;
mod sandbox;
mod spec;
mod subnet;
mod sweeper;

pub use bandwidth::Bandwidth;
pub use endpoint::{Address, Endpoint, Request};
pub use error::Error;
pub use names::NameSockets;
pub use networks::{Networks, Restore};
pub use options::{NameServers, Options};
pub use published::{Fitness, Protocol, Published};
pub use resolvers::Resolvers;
pub use routes::free_subnet;
pub use sandbox::Sandbox;
pub use spec::{Gateway, Kind, Pool, Spec};
pub use subnet::Subnet;

#[cfg(test)]
mod tests;
