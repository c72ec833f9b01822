//! Hands the signals that reach this process to a container.

use tokio::task::JoinHandle;

use crate::engine::{Engine, Query, segment};
use crate::terminal::Signals;

/// Forwards until it is dropped.
#[derive(Debug)]
pub(crate) struct Forwarder(JoinHandle<()>);

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Forwards from now on. Signals that can't be caught on this system are left alone.
pub(crate) fn forward(engine: &Engine, container: &str) -> Option<Forwarder> {
    let mut signals = Signals::new().ok()?;
    let engine = engine.clone();
    let path = format!("/containers/{}/kill", segment(container));
    Some(Forwarder(tokio::spawn(async move {
        while let Some(name) = signals.next().await {
            // A container that has just ended takes no signal; that is no error.
            let _ = engine.act(&path, &Query::new().set("signal", name)).await;
        }
    })))
}
