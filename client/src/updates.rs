//! What a start, stop or restart says while it goes on.

use crate::wire::{Status, Update};
use crate::{Error, TextLines};

/// The updates of a request, in order.
#[derive(Debug)]
pub struct Updates {
    lines: TextLines,
}

impl Updates {
    pub(crate) fn new(lines: TextLines) -> Self {
        Self { lines }
    }

    /// The next update; `None` after the last.
    ///
    /// # Errors
    /// When the connection breaks or the line is not understood.
    pub async fn next(&mut self) -> Option<Result<Update, Error>> {
        loop {
            let line = match self.lines.next().await? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if !line.is_empty() {
                return Some(serde_json::from_str(&line).map_err(Error::Answer));
            }
        }
    }

    /// Waits until the request is done, handing each status to `seen`.
    ///
    /// # Errors
    /// [`Error::Machine`] when the request failed; others when the connection breaks.
    pub async fn finish(mut self, mut seen: impl FnMut(&Status)) -> Result<(), Error> {
        while let Some(update) = self.next().await {
            match update? {
                Update::Status { status } => seen(&status),
                Update::Done => return Ok(()),
                Update::Failed { problem } => return Err(Error::Machine(problem)),
            }
        }
        Err(Error::CutShort)
    }
}
