//! One slipwayd for each home.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};

use client::Home;
use client::wire::Problem;

use crate::problem::{Explain, file, problem};

/// Held as long as slipwayd runs; the system lets go of it when slipwayd dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the home's lock.
    ///
    /// # Errors
    /// When another slipwayd has it; its process id is named.
    pub(crate) fn take(home: &Home) -> Result<Self, Problem> {
        let path = home.lock_file();
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| file("open", &path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // On Windows a locked file cannot be read; the message does without.
                let _ = lock.read_to_string(&mut pid);
                let who = match pid.trim() {
                    "" => String::new(),
                    pid => format!(" (process {pid})"),
                };
                return Err(problem(format!("slipwayd is already running{who}"))
                    .because(format!("{} is locked", path.display()))
                    .hint("use it, stop it, or set SLIPWAY_HOME to another folder"));
            }
            Err(TryLockError::Error(error)) => return Err(file("lock", &path, &error)),
        }
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())?;
            lock.flush()
        };
        write(&mut lock).map_err(|error| file("write", &path, &error))?;
        Ok(Self { _file: lock })
    }
}
