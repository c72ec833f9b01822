//! The whole crate against the real kernel, as root, in namespaces of the test's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod bandwidth;
mod lab;
mod lifecycle;
mod traffic;
