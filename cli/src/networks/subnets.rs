//! `slipway network subnets`: where the subnets of networks come from that name none.

use clap::Args;
use serde_json::{Value, json};

use crate::app::App;
use crate::engine::{Query, body};
use crate::failure::Failure;
use crate::output;

const PATH: &str = "/slipway/networks/subnets";

/// `slipway network subnets`. What is not named stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Subnets {
    /// Take subnets from here, in place of Docker's pools: addresses, and the length of a subnet's
    /// prefix
    #[arg(long, value_name = "CIDR:SIZE", value_parser = pool)]
    pool: Option<Vec<Value>>,
    /// Never use these addresses; those that this computer's own routes lead to are avoided anyway
    #[arg(long, value_name = "CIDR")]
    avoid: Option<Vec<String>>,
    /// Forget everything that was set
    #[arg(long)]
    reset: bool,
}

/// `10.10.0.0/16:24`.
fn pool(text: &str) -> Result<Value, String> {
    let wrong = || format!("{text} is no pool: an example is 10.10.0.0/16:24");
    let (base, size) = text.rsplit_once(':').ok_or_else(wrong)?;
    let size: u8 = size.parse().map_err(|_| wrong())?;
    Ok(json!({ "base": base, "size": size }))
}

impl Subnets {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let engine = app.engine().await?;
        let mut settings: Value = if self.reset {
            json!({})
        } else {
            engine.get(PATH, &Query::new()).await?
        };
        let before = settings.clone();
        for (name, value) in [
            ("default-address-pools", self.pool.map(|pools| json!(pools))),
            ("avoid", self.avoid.map(|subnets| json!(subnets))),
        ] {
            if let Some(value) = value {
                settings[name] = value;
            }
        }
        if self.reset || settings != before {
            engine.put(PATH, &Query::new(), body(&settings)).await?;
            settings = engine.get(PATH, &Query::new()).await?;
        }
        output::json(&settings);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_addresses_and_a_size() {
        assert_eq!(
            pool("10.10.0.0/16:24"),
            Ok(json!({"base": "10.10.0.0/16", "size": 24}))
        );
        assert_eq!(
            pool("fd00::/48:64"),
            Ok(json!({"base": "fd00::/48", "size": 64}))
        );
        assert!(pool("10.10.0.0/16").is_err() && pool("10.10.0.0/16:x").is_err());
    }
}
