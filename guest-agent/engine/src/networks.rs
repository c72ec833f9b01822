//! Networks: what they are made of, which containers are on them, and what is published.

mod attach;
mod check;
mod connect;
mod create;
mod holder;
mod ipam;
mod list;
mod names;
mod open;
mod options;
mod ports;
mod record;
mod remove;
mod subnets;

pub use connect::ConnectRequest;
pub use create::NetworkRequest;
pub use list::{Member, NetworkSnapshot};
pub use names::{NameQuestion, NameQuestions, dns_names};
pub use ports::{
    Bound, Condition, PortAnswer, PortOrder, PortOrders, Publication, WantedPort, has_way_in,
    port_key,
};
pub use record::{Attachment, EndpointIpam, EndpointSettings, Ipam, IpamConfig, NetworkRecord};
pub use subnets::{AddressPool, SubnetSettings};

pub(crate) use check::check_endpoint;
pub(crate) use names::{Names, names_of, rename_there};
pub(crate) use ports::{HostPorts, PortTable, check as check_ports};

use holder::holder_of;
pub(crate) use record::Table;
