//! `slipway volume ls`.

use clap::Args;
use serde_json::{Value, json};

use crate::app::App;
use crate::engine::{Query, query_filter};
use crate::failure::Failure;
use crate::format::listing::{Items, Listing, labels};
use crate::format::{natural, size};

/// `slipway volume ls`.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// Show those that hold: dangling=true, label=a=b, name=data, …
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = query_filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    listing: Listing,
    /// Show sizes, and how many containers use each
    #[arg(short, long)]
    size: bool,
}

impl Ls {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let query = Query::new().filters(&self.filter);
        let mut answer: Value = engine.get("/volumes", &query).await?;
        let mut volumes = match answer["Volumes"].take() {
            Value::Array(volumes) => volumes,
            _ => Vec::new(),
        };
        volumes.sort_by(|a, b| natural::compare(name(a), name(b)));
        let mut columns = vec![("DRIVER", "Driver"), ("VOLUME NAME", "Name")];
        if self.size {
            let query = Query::new().set("type", "volume");
            let usage: Value = engine.get("/system/df", &query).await?;
            for volume in &mut volumes {
                add_usage(volume, &usage["Volumes"]);
            }
            columns.extend([("LINKS", "Links"), ("SIZE", "Size")]);
        }
        let fields = volumes.iter().map(fields).collect();
        self.listing.print(
            app,
            &Items {
                raw: &Value::Array(volumes),
                fields,
                id: "Name",
                columns: &columns,
            },
        )
    }
}

fn name(volume: &Value) -> &str {
    volume["Name"].as_str().unwrap_or_default()
}

fn add_usage(volume: &mut Value, usage: &Value) {
    let found = usage
        .as_array()
        .into_iter()
        .flatten()
        .find(|other| other["Name"] == volume["Name"]);
    if let Some(found) = found {
        volume["UsageData"] = found["UsageData"].clone();
    }
}

/// The fields of Docker's own templates.
fn fields(volume: &Value) -> Value {
    let usage = &volume["UsageData"];
    let known = |text: Option<String>| text.unwrap_or_else(|| "N/A".to_owned());
    json!({
        "Availability": "N/A",
        "Driver": volume["Driver"],
        "Group": "N/A",
        "Labels": labels(volume),
        "Links": known(usage["RefCount"].as_i64().map(|count| count.to_string())),
        "Mountpoint": volume["Mountpoint"],
        "Name": volume["Name"],
        "Scope": volume["Scope"],
        "Size": known(usage["Size"].as_u64().map(size::decimal4)),
        "Status": "N/A",
    })
}
