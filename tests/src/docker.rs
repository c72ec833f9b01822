//! The real docker CLI.

use std::path::{Path, PathBuf};

use crate::program::Program;

/// A docker CLI that talks to one machine and knows nothing of the person's own settings.
pub struct Docker {
    program: PathBuf,
    socket: PathBuf,
    config: PathBuf,
}

impl Docker {
    /// `program` against the API socket `socket`; settings in the folder `config`.
    #[must_use]
    pub fn new(program: PathBuf, socket: &Path, config: PathBuf) -> Self {
        Self {
            program,
            socket: socket.to_owned(),
            config,
        }
    }

    /// A command.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Program {
        self.bare(Program::new(&self.program)).args(args)
    }

    /// Environment for a program that runs docker.
    #[must_use]
    pub fn bare(&self, program: Program) -> Program {
        program
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
            .env("DOCKER_CONFIG", &self.config)
            .env("DOCKER_CLI_HINTS", "false")
            .without("DOCKER_CONTEXT")
            .without("DOCKER_API_VERSION")
            .without("DOCKER_TLS_VERIFY")
    }

    /// Where the CLI is.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }
}
