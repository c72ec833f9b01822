//! The engine on this machine, without a virtual machine and without slipwayd, driven by the real
//! docker command and by bollard. Needs root; each test has an engine of its own in its own mount
//! and network namespaces.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod attacks;
mod bad_input;
mod clients;
mod commit;
mod containers;
mod details;
mod devcontainers;
mod diff;
mod exec;
mod faults;
mod file_attacks;
mod files;
mod health;
mod host_link;
mod images;
mod limits;
mod logs;
mod network_options;
mod networks;
mod noise;
mod outside;
mod python;
mod registries;
mod sharing;
mod soak;
mod subnets;
mod support;
mod survival;
mod terminal;
mod versions;
mod volume_files;
mod volume_mounts;
mod volumes;
mod websocket;
