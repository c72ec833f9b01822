//! The context of whole-machine tests: a machine with a home of its own, real clients, a test
//! image, a registry, and steps with names.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails"
)]

pub mod busybox;
pub mod disk;
pub mod docker;
pub mod figure;
pub mod guest;
pub mod http;
pub mod isolation;
pub mod machine;
pub mod peers;
pub mod places;
pub mod program;
pub mod registry;
pub mod scenario;
pub mod server;
pub mod steps;
pub mod terminal;
pub mod wait;
pub mod wine;

pub use machine::{Driver, Machine};
pub use program::{Program, Ran};
pub use steps::Steps;
pub use wine::Wine;
