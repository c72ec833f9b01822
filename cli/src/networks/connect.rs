//! `slipway network connect` and `disconnect`.

use clap::Args;
use serde_json::{Map, json};

use crate::app::App;
use crate::engine::{Query, segment};
use crate::failure::Failure;
use crate::volumes::create::pairs;

/// `slipway network connect`.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Another name for it there
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// Options of its place there
    #[arg(long, value_name = "KEY=VALUE")]
    driver_opt: Vec<String>,
    /// The network with the highest is its default gateway
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    gw_priority: i64,
    /// Its IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// Its IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<String>,
    /// Let it know another container by this name
    #[arg(long, value_name = "CONTAINER[:NAME]")]
    link: Vec<String>,
    /// An address that is good on this network only
    #[arg(long, value_name = "ADDRESS")]
    link_local_ip: Vec<String>,
    /// Name or id
    #[arg(value_name = "NETWORK")]
    network: String,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Connect {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let mut ipam = Map::new();
        if let Some(address) = &self.ip {
            ipam.insert("IPv4Address".into(), json!(address));
        }
        if let Some(address) = &self.ip6 {
            ipam.insert("IPv6Address".into(), json!(address));
        }
        if !self.link_local_ip.is_empty() {
            ipam.insert("LinkLocalIPs".into(), json!(self.link_local_ip));
        }
        let body = json!({
            "Container": self.container,
            "EndpointConfig": {
                "IPAMConfig": ipam,
                "Links": self.link,
                "Aliases": self.alias,
                "DriverOpts": pairs(&self.driver_opt),
                "GwPriority": self.gw_priority,
            },
        });
        let engine = app.engine().await?;
        let path = format!("/networks/{}/connect", segment(&self.network));
        drop(engine.post_json(&path, &Query::new(), &body).await?);
        Ok(())
    }
}

/// `slipway network disconnect`.
#[derive(Debug, Args)]
pub(crate) struct Disconnect {
    /// Even if the container is not there any more
    #[arg(short, long)]
    force: bool,
    /// Name or id
    #[arg(value_name = "NETWORK")]
    network: String,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Disconnect {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let body = json!({ "Container": self.container, "Force": self.force });
        let engine = app.engine().await?;
        let path = format!("/networks/{}/disconnect", segment(&self.network));
        drop(engine.post_json(&path, &Query::new(), &body).await?);
        Ok(())
    }
}
