//! Hands the signals that reach this process to a container.

use tokio::task::JoinHandle;

use crate::engine::{Engine, Query, segment};
use crate::failure::FAILED;
use crate::output;
use crate::terminal::{self, Signals};

/// After so many requests to end, this process ends by itself: a container that ignores them
/// must not hold a terminal for ever. Docker's clients do the same.
const GIVE_UP: u8 = 3;

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
        let mut asked_to_end = 0;
        while let Some(name) = signals.next().await {
            asked_to_end += u8::from(matches!(name, "INT" | "TERM"));
            if asked_to_end == GIVE_UP {
                terminal::restore();
                output::note("got 3 SIGTERM/SIGINTs, forcefully exiting");
                std::process::exit(i32::from(FAILED));
            }
            // A container that has just ended takes no signal; that is no error.
            let _ = engine.act(&path, &Query::new().set("signal", name)).await;
        }
    })))
}
