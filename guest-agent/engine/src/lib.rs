//! Containers, images, networks and events as objects with state. [`Engine`] is the one door; the
//! HTTP side calls it and renders what it returns.

mod blocking;
pub mod containers;
mod engine;
mod error;
pub mod events;
pub mod filters;
mod ids;
pub mod image;
mod networks;
mod reconcile;
mod shared;
mod shutdown;
mod state_file;
mod system;
pub mod time;
mod volumes;
mod warden_client;

pub use ::network::{Address, Protocol, Subnet};
pub use engine::{Engine, Machine, Options};
pub use error::{Error, Kind, go_bool};
pub use ids::short;
pub use networks::{
    AddressPool, Attachment, Bound, Condition, ConnectRequest, EndpointIpam, EndpointSettings,
    Ipam, IpamConfig, Member, NameQuestion, NameQuestions, NetworkRecord, NetworkRequest,
    NetworkSnapshot, PortAnswer, PortOrder, PortOrders, Publication, SubnetSettings, WantedPort,
    dns_names, has_way_in, port_key,
};
pub use shared::Shared;
pub use system::{ContainerSize, DiskUsage, NO_SWARM, SystemInfo, VERSION};
pub use volumes::{
    Backup, Cloned, RestoreRequest, Restored, Volume, VolumeEntry, VolumeRequest, VolumeUsage,
};
