//! The Docker Engine API over HTTP. [`Api`] serves one connection at a time over any byte stream;
//! each resource has its folder.

#![recursion_limit = "256"]

mod body;
mod client;
mod containers;
mod error;
mod events;
mod exec;
mod form;
mod hijack;
mod images;
mod lenient;
mod networks;
mod presence;
mod progress;
mod query;
mod read_out;
mod reply;
mod router;
mod routes;
mod server;
mod system;
mod unsupported;
mod version;
mod volumes;

pub use server::Api;
