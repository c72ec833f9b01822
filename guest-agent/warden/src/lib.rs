//! PID 1 of the machine: mounts, spawns, reaps, keeps standard streams, exits and logs.

pub mod protocol;
pub mod wire;
