//! `slipway network ls`.

use clap::Args;
use serde_json::{Value, json};

use crate::app::App;
use crate::engine::{Query, query_filter};
use crate::failure::Failure;
use crate::format::listing::{Items, Listing, labels};
use crate::format::natural;
use crate::format::text::short_id;

/// `slipway network ls`.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Show those that hold: driver=bridge, name=web, label=a=b, …
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    listing: Listing,
    /// Don't shorten ids
    #[arg(long)]
    no_trunc: bool,
}

impl Ls {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().filters(&self.filter);
        let mut networks: Vec<Value> = engine.get("/networks", &query).await?;
        let name = |network: &Value| network["Name"].as_str().unwrap_or_default().to_owned();
        networks.sort_by(|a, b| natural::compare(&name(a), &name(b)));
        let fields = networks
            .iter()
            .map(|network| self.fields(network))
            .collect();
        self.listing.print(
            app,
            &Items {
                raw: &Value::Array(networks),
                fields,
                id: "ID",
                columns: &[
                    ("NETWORK ID", "ID"),
                    ("NAME", "Name"),
                    ("DRIVER", "Driver"),
                    ("SCOPE", "Scope"),
                ],
            },
        )
    }

    /// The fields of Docker's own templates.
    fn fields(&self, network: &Value) -> Value {
        let id = network["Id"].as_str().unwrap_or_default();
        let flag = |key: &str| (network[key] == true).to_string();
        json!({
            "CreatedAt": network["Created"],
            "Driver": network["Driver"],
            "ID": if self.no_trunc { id } else { short_id(id) },
            "IPv4": flag("EnableIPv4"),
            "IPv6": flag("EnableIPv6"),
            "Internal": flag("Internal"),
            "Labels": labels(network),
            "Name": network["Name"],
            "Scope": network["Scope"],
        })
    }
}
