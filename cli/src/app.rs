//! What every verb needs: how to print, and how to reach the engine.

use client::{Endpoint, Home};

use crate::args::Global;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::machine::ready;

/// The settings that all verbs share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// Print JSON.
    pub(crate) json: bool,
    host: Option<String>,
}

impl App {
    /// From the command line and the environment.
    pub(crate) fn new(global: Global) -> Self {
        let from_env = std::env::var("SLIPWAY_HOST").ok();
        Self {
            json: global.json,
            host: global.host.or(from_env).filter(|host| !host.is_empty()),
        }
    }

    /// The home.
    ///
    /// # Errors
    /// When there is no folder for it.
    pub(crate) fn home(&self) -> Result<Home, Failure> {
        Ok(Home::from_env()?)
    }

    /// An engine that answers: another one if the person named it, else the machine's, which is
    /// started if it does not run.
    ///
    /// # Errors
    /// When the machine can't be started.
    pub(crate) async fn engine(&self) -> Result<Engine, Failure> {
        if let Some(host) = &self.host {
            return Ok(Engine::foreign(endpoint(host)?));
        }
        let home = self.home()?;
        ready::ensure(&home).await?;
        Ok(Engine::new(home.endpoint()))
    }

    /// Where clients connect.
    ///
    /// # Errors
    /// When the home is not known.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Failure> {
        match &self.host {
            Some(host) => endpoint(host),
            None => Ok(self.home()?.endpoint()),
        }
    }
}

fn endpoint(host: &str) -> Result<Endpoint, Failure> {
    if let Some(path) = host.strip_prefix("unix://") {
        return Ok(Endpoint::Unix(path.into()));
    }
    if let Some(pipe) = host.strip_prefix("npipe://") {
        return Ok(Endpoint::Pipe(pipe.replace('/', "\\")));
    }
    Err(
        Failure::usage(format!("{host} is not an endpoint of an Engine API"))
            .hint("endpoints look like unix:///path/docker.sock or npipe:////./pipe/slipway"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let parsed = |host| endpoint(host).map(|e| e.to_string()).ok();
        assert_eq!(parsed("unix:///a/b").as_deref(), Some("unix:///a/b"));
        assert_eq!(
            parsed("npipe:////./pipe/x").as_deref(),
            Some("npipe:////./pipe/x")
        );
        assert_eq!(parsed("tcp://1.2.3.4"), None);
    }
}
