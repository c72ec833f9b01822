//! The warden in native mode, with this test as its engine: real containers from a busybox root.
//! Needs root, as the warden does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod containers;
mod exec;
mod isolation;
mod logs;
mod streams;
mod support;
