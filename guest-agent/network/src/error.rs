//! What can go wrong, named for the step that failed.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why a network operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not `address/prefix`.
    #[error("\"{text}\" is not a subnet such as 172.17.0.0/16")]
    InvalidSubnet {
        /// What was given.
        text: String,
    },
    /// A container id that could not be a file name.
    #[error("\"{id}\" is not a container id")]
    InvalidId {
        /// What was given.
        id: String,
    },
    /// Bridge or firewall could not be set up.
    #[error("containers have no network: {reason}")]
    Unavailable {
        /// Why, with causes.
        reason: String,
    },
    /// A hundred other engines have bridges here.
    #[error("no free name for a bridge: {stem}0 to {stem}99 belong to others")]
    NoFreeBridge {
        /// The name without its number.
        stem: String,
    },
    /// Every default subnet is in use on this machine.
    #[error(
        "all predefined address pools have been fully subnetted: the machine has routes to all of 172.17.0.0/16 to 172.31.0.0/16 and 192.168.0.0/16, or networks use them; choose a subnet"
    )]
    NoFreeSubnet,
    /// The network has no address left.
    #[error(
        "no available IPv{version} addresses on this network's address pools: {network} ({id})"
    )]
    NoFreeAddress {
        /// 4 or 6.
        version: u8,
        /// The network's name.
        network: String,
        /// Its id.
        id: String,
    },
    /// An address that was asked for is in no subnet of the network.
    #[error("no configured subnet contains IP address {ip}")]
    NotInSubnet {
        /// The address.
        ip: IpAddr,
    },
    /// An address that was asked for is another's.
    #[error("Address already in use")]
    AddressInUse,
    /// The container has an endpoint already.
    #[error("container {id} is already attached to network {network}")]
    AlreadyAttached {
        /// The container.
        id: String,
        /// The network.
        network: String,
    },
    /// Nobody has brought the network up.
    #[error("network {id} is not up")]
    NoSuchNetwork {
        /// The network.
        id: String,
    },
    /// The interface that a macvlan or ipvlan network shares, or whose VLAN it shares, is not there.
    #[error("-o parent interface was not found on the host: {name}")]
    NoParent {
        /// The interface.
        name: String,
    },
    /// An interface is not there, and its name does not say which VLAN it is to be.
    #[error("{reason}")]
    NoVlan {
        /// Why.
        reason: String,
    },
    /// A file of ours could not be read, written or mounted.
    #[error("cannot {action} {path}")]
    File {
        /// `read`, `write`, `mount`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Opening or using the netlink socket.
    #[error("cannot talk to the kernel's network configuration")]
    Netlink(#[source] io::Error),
    /// The kernel refused one change.
    #[error("the kernel refused to {step}")]
    Refused {
        /// `add the address 172.17.0.2/16 to eth0`, …
        step: String,
        /// Why.
        source: io::Error,
    },
    /// The container is on no network of ours.
    #[error("container {id} is not attached to a network")]
    NotAttached {
        /// The container.
        id: String,
    },
    /// The kernel lacks the module sch_tbf.
    #[error("the kernel cannot limit bandwidth: it has no token bucket filter (module sch_tbf)")]
    NoShaping,
    /// Making a network namespace.
    #[error("cannot make or enter a network namespace")]
    Namespace(#[source] io::Error),
    /// The `nft` program is not there.
    #[error("the firewall program {program} was not found: install the package nftables")]
    NftMissing {
        /// What was looked for.
        program: PathBuf,
    },
    /// The `nft` program could not be started.
    #[error("cannot run {program}")]
    NftRun {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The `nft` program refused our rules.
    #[error("the firewall rules were refused: {output}")]
    NftRefused {
        /// What it said.
        output: String,
    },
    /// The `nft` program answered with something unexpected.
    #[error("the answer of the firewall program makes no sense")]
    NftAnswer(#[source] serde_json::Error),
    /// A worker thread went away.
    #[error("a network worker thread ended early")]
    Worker,
}

impl Error {
    /// A closure for `map_err` on file operations.
    pub(crate) fn file<E: Into<io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::File {
            action,
            path: path.into(),
            source: source.into(),
        }
    }
}
