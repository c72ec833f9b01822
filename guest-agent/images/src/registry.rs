//! The client of the distribution API: which endpoint, which credentials, what went wrong.

mod challenge;
mod client;
mod connect;
mod download;
mod errors;
mod fetch;
mod look;
mod place;
mod request;
mod retry;
mod settings;
mod token;
mod trust;
mod upload;

pub(crate) use connect::Registry;
pub(crate) use download::{Download, download};
pub use fetch::fetch;
pub use look::{SearchResult, log_in, search, tags};
pub(crate) use request::Fetched;
pub use settings::{Proxies, Registries};
pub(crate) use upload::{Started, Upload};
