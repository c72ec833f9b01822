//! The layout of `SLIPWAY_HOME`, the folder that holds all of Slipway's state.

use std::path::{Path, PathBuf};

use crate::{Endpoint, Error};

/// The folder that holds all state. Knows paths; creates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// `SLIPWAY_HOME`, or the platform's folder for a program's local data.
    ///
    /// # Errors
    /// [`Error::NoHome`] when neither is known.
    pub fn from_env() -> Result<Self, Error> {
        if let Some(root) = std::env::var_os("SLIPWAY_HOME").filter(|root| !root.is_empty()) {
            return Ok(Self::at(
                std::path::absolute(&root).unwrap_or_else(|_| root.into()),
            ));
        }
        let dirs = directories::ProjectDirs::from("", "", "Slipway").ok_or(Error::NoHome)?;
        Ok(Self::at(dirs.data_local_dir()))
    }

    /// A home at `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Sockets, locks and process ids of what runs now.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The Engine API's socket (on Windows there is a pipe instead).
    #[must_use]
    pub fn docker_sock(&self) -> PathBuf {
        self.run_dir().join("docker.sock")
    }

    /// Held locked by the one slipwayd of this home; contains its process id.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.run_dir().join("slipwayd.lock")
    }

    /// What a machine that runs has left for the next slipwayd.
    #[must_use]
    pub fn machine_record(&self) -> PathBuf {
        self.run_dir().join("machine.json")
    }

    /// Logs of slipwayd and of the machine's console.
    #[must_use]
    pub fn logs_dir(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// slipwayd's log.
    #[must_use]
    pub fn service_log(&self) -> PathBuf {
        self.logs_dir().join("slipwayd.log")
    }

    /// What slipwayd said on standard error when a client started it.
    #[must_use]
    pub fn service_stderr(&self) -> PathBuf {
        self.logs_dir().join("slipwayd.stderr")
    }

    /// The console of the machine's current or last run.
    #[must_use]
    pub fn console_log(&self) -> PathBuf {
        self.logs_dir().join("console.log")
    }

    /// The machine's disk and what is remembered about it.
    #[must_use]
    pub fn machine_dir(&self) -> PathBuf {
        self.root.join("machine")
    }

    /// The machine's data disk.
    #[must_use]
    pub fn data_disk(&self) -> PathBuf {
        self.machine_dir().join("data.raw")
    }

    /// The engine's state in native mode.
    #[must_use]
    pub fn native_dir(&self) -> PathBuf {
        self.root.join("native")
    }

    /// What the person chose.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.root.join("settings.json")
    }

    /// Where clients connect.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_inside_the_home() {
        let home = Home::at("/tmp/some home");
        for path in [
            home.docker_sock(),
            home.lock_file(),
            home.console_log(),
            home.data_disk(),
        ] {
            assert!(path.starts_with(home.root()), "{}", path.display());
        }
    }
}
