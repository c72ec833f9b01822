//! `slipway image registries`: mirrors, insecure registries, proxies and authorities.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::app::App;
use crate::engine::{Query, body};
use crate::failure::Failure;
use crate::output;

/// `slipway image registries`. What is not named stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Registries {
    /// A registry that may speak plain HTTP or show any certificate: host[:port] or a range
    #[arg(long, value_name = "REGISTRY")]
    insecure: Option<Vec<String>>,
    /// Ask here first for Docker Hub's images: a URL
    #[arg(long, value_name = "URL")]
    mirror: Option<Vec<String>>,
    /// Proxy for plain HTTP
    #[arg(long, value_name = "URL")]
    http_proxy: Option<String>,
    /// Proxy for HTTPS
    #[arg(long, value_name = "URL")]
    https_proxy: Option<String>,
    /// Hosts that are reached directly, separated by commas
    #[arg(long, value_name = "HOSTS")]
    no_proxy: Option<String>,
    /// Authorities to trust besides the system's: a PEM file
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Forget everything that was set
    #[arg(long)]
    reset: bool,
}

impl Registries {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let path = "/slipway/images/registries";
        let mut settings: Value = if self.reset {
            json!({})
        } else {
            engine.get(path, &Query::new()).await?
        };
        let before = settings.clone();
        self.apply(&mut settings)?;
        if self.reset || settings != before {
            engine.put(path, &Query::new(), body(&settings)).await?;
            settings = engine.get(path, &Query::new()).await?;
        }
        output::json(&settings);
        Ok(())
    }

    fn apply(&self, settings: &mut Value) -> Result<(), Failure> {
        if let Some(insecure) = &self.insecure {
            settings["insecure-registries"] = json!(insecure);
        }
        if let Some(mirrors) = &self.mirror {
            settings["registry-mirrors"] = json!(mirrors);
        }
        for (name, value) in [
            ("http-proxy", &self.http_proxy),
            ("https-proxy", &self.https_proxy),
            ("no-proxy", &self.no_proxy),
        ] {
            if let Some(value) = value {
                settings["proxies"][name] = json!(value);
            }
        }
        if let Some(path) = &self.ca {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::file("read", path, &error))?;
            settings["certificates"] = json!(text);
        }
        Ok(())
    }
}
