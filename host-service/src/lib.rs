//! slipwayd: owns the machine that the engine runs in, listens where clients connect, and relays.

mod control;
mod diagnose;
mod endpoint;
mod lock;
mod logs;
mod machine;
mod names;
mod ports;
mod problem;
mod relay;
mod service;
mod settings;

pub use service::run;

/// slipwayd's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
