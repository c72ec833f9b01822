//! The client of the distribution API: which endpoint, which credentials, what went wrong.

mod challenge;
mod connect;
mod download;
mod errors;
mod retry;
mod token;
mod trust;

pub(crate) use connect::Registry;
pub(crate) use download::{Download, download};
