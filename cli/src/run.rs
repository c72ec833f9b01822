//! The flags of `run` and `create`, and the create request that they make. Parsing is apart from
//! acting: nothing here talks to the engine.

pub(crate) mod body;
mod device;
pub(crate) mod env;
pub(crate) mod flags;
mod health;
mod host;
pub(crate) mod memory;
mod mount;
mod network;
mod port;
pub(crate) mod security;
mod ulimit;
mod volume;

pub(crate) use flags::ContainerFlags;
