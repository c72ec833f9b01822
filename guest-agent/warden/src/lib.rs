//! PID 1 of the machine: mounts, spawns, reaps, keeps standard streams, exits and logs.
//!
//! One thread, one `epoll` loop, no async runtime: forking stays safe and cheap. The engine is a
//! child that may die at any time; everything that must survive it is here.

mod agent;
mod calls;
mod client;
mod clock;
mod console;
mod ending;
mod engine_link;
mod error;
mod kept;
pub mod log;
mod poller;
mod process;
mod signals;
mod source;
mod spawn;
mod streams;
mod supervisor;

pub mod machine;
pub mod native;
pub mod port;
pub mod protocol;
pub mod wire;

pub use error::Error;
pub use kept::Program;
pub use supervisor::Supervisor;
