//! The image store as the engine uses it: archives, registries, names, removal, faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod archives;
mod browse;
mod crash;
mod faults;
mod fixture;
mod indexes;
mod legacy;
mod names;
mod overlay;
mod pull;
mod push;
mod reach;
mod saved;
mod server;
mod settle;
