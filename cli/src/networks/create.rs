//! `slipway network create`.

use clap::Args;
use serde_json::{Value, json};

use super::ipam;
use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::output;
use crate::run::env::label;
use crate::volumes::create::pairs;

/// `slipway network create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Taken for docker's sake: containers may always be connected
    #[arg(long)]
    attachable: bool,
    /// An address that something else has
    #[arg(long, value_name = "NAME=ADDRESS")]
    aux_address: Vec<String>,
    /// Take the settings of this network
    #[arg(long, value_name = "NETWORK")]
    config_from: Option<String>,
    /// Make settings for other networks only
    #[arg(long)]
    config_only: bool,
    /// bridge, macvlan, ipvlan, …
    #[arg(short, long, value_name = "NAME", default_value = "bridge")]
    driver: String,
    /// The gateway's address in a subnet
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    gateway: Vec<String>,
    /// No way out of it
    #[arg(long)]
    internal: bool,
    /// Give containers addresses of this part of a subnet
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    ip_range: Vec<String>,
    /// Who gives addresses; default is all there is
    #[arg(long, value_name = "NAME", default_value = "default")]
    ipam_driver: String,
    /// Options of whoever gives addresses
    #[arg(long, value_name = "KEY=VALUE")]
    ipam_opt: Vec<String>,
    /// IPv4 addresses, which there are if nothing is said
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    ipv4: Option<bool>,
    /// IPv6 addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    ipv6: Option<bool>,
    /// Note this on it
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<String>,
    /// Options of the driver
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// local, which is all there is
    #[arg(long, value_name = "SCOPE", default_value = "")]
    scope: String,
    /// Its addresses
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    subnet: Vec<String>,
    /// Its name
    #[arg(value_name = "NETWORK")]
    name: String,
}

impl Create {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let wanted = ipam::Wanted {
            subnets: &self.subnet,
            ranges: &self.ip_range,
            gateways: &self.gateway,
            others: &self.aux_address,
        };
        let mut body = json!({
            "Name": self.name,
            "Driver": self.driver,
            "Scope": self.scope,
            "Internal": self.internal,
            "Attachable": self.attachable,
            "ConfigOnly": self.config_only,
            "IPAM": {
                "Driver": self.ipam_driver,
                "Options": pairs(&self.ipam_opt),
                "Config": wanted.configs().map_err(Failure::new)?,
            },
            "Options": pairs(&self.opt),
            "Labels": pairs(&self.label),
        });
        for (key, value) in [("EnableIPv4", self.ipv4), ("EnableIPv6", self.ipv6)] {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        if let Some(network) = &self.config_from {
            body["ConfigFrom"] = json!({ "Network": network });
        }
        let engine = app.engine().await?;
        let made: Value = engine
            .post("/networks/create", &Query::new(), &body)
            .await?;
        if let Some(warning) = made["Warning"].as_str().filter(|text| !text.is_empty()) {
            output::note(&format!("WARNING: {warning}"));
        }
        if app.json {
            output::json(&made);
        } else {
            output::line(made["Id"].as_str().unwrap_or_default());
        }
        Ok(())
    }
}
