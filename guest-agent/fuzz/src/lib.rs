//! What the fuzz targets share: a place whose surroundings must stay as they are, archives that a
//! stranger could have made, an engine to talk to, and where seeds go.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a fault of the set-up ends the run, as any finding does"
)]

pub mod archive;
pub mod host;
pub mod image;
pub mod json;
pub mod place;
pub mod seeds;

/// What runs asynchronous code in a target: one thread, so that an input always does the same.
#[must_use]
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
