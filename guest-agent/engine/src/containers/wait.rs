//! `docker wait`: until a container doesn't run, ends the next time, or is removed.

use std::sync::Arc;

use crate::{Engine, Error};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCondition {
    /// It does not run; true at once for one that never ran.
    NotRunning,
    /// Its next end.
    NextExit,
    /// It is gone.
    Removed,
}

/// How the wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitOutcome {
    /// The container's exit code.
    pub exit_code: i32,
    /// Why it could not be started, if so.
    pub error: Option<String>,
}

impl Engine {
    /// Finds the container at once and returns the wait itself.
    pub fn wait_container(
        self: &Arc<Self>,
        name: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = WaitOutcome> + Send + use<>, Error> {
        let container = self.container(name)?;
        let exits_before = container.lock().exits;
        Ok(async move {
            container
                .until(|inner| {
                    let record = &inner.record;
                    let runs = record.state.is_running() || record.state.is_starting();
                    // One that is started again at once has ended all the same.
                    let exited = inner.exits > exits_before;
                    let over = match condition {
                        WaitCondition::NotRunning => !runs || exited,
                        WaitCondition::NextExit => exited,
                        WaitCondition::Removed => false,
                    };
                    (over || inner.removed).then(|| WaitOutcome {
                        exit_code: if exited {
                            inner.last_exit
                        } else {
                            record.exit_code
                        },
                        // A removal that went well wipes out why the start had failed.
                        error: (!record.error.is_empty() && !inner.removed)
                            .then(|| record.error.clone()),
                    })
                })
                .await
        })
    }
}
