//! This terminal: raw mode, its size, and the signals that reach this process.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use platform::{Resizes, Signals, size};

/// How the terminal was before it was made raw.
static BEFORE: Mutex<Option<platform::Modes>> = Mutex::new(None);

/// Keys go to the container one by one, uninterpreted, until this is dropped.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    /// Makes the terminal at standard input raw. Does nothing when there is none.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn enter() -> std::io::Result<Self> {
        let mut before = before();
        if before.is_none() {
            *before = platform::enter_raw()?;
        }
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back as it was, if it was made raw. For ways out that drop nothing.
pub(crate) fn restore() {
    if let Some(modes) = before().take() {
        platform::leave_raw(&modes);
    }
}

fn before() -> MutexGuard<'static, Option<platform::Modes>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}
