//! How programs on the person's machine reach slipwayd: where things are, what is said, and the
//! client that says it.
//!
//! ```no_run
//! # async fn example() -> Result<(), client::Error> {
//! let home = client::Home::from_env()?;
//! let client = client::ensure_service(&home).await?;
//! client.start(client::wire::StartRequest::default()).await?.finish(|_| ()).await?;
//! println!("{}", client.status().await?.api.endpoint);
//! # Ok(()) }
//! ```

mod connection;
mod endpoint;
mod error;
mod home;
mod http;
mod lines;
mod service;
mod updates;
pub mod wire;

pub use connection::Connection;
pub use endpoint::Endpoint;
pub use error::Error;
pub use home::Home;
pub use http::Client;
pub use lines::TextLines;
pub use service::{ensure_service, running_service, service_program};
pub use updates::Updates;
