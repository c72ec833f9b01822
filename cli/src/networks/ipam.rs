//! `--subnet`, `--ip-range`, `--gateway` and `--aux-address`, brought together subnet by subnet as
//! docker does.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

/// What the command line says.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) subnets: &'a [String],
    pub(super) ranges: &'a [String],
    pub(super) gateways: &'a [String],
    /// `NAME=ADDRESS` words.
    pub(super) others: &'a [String],
}

impl Wanted<'_> {
    /// The API's `IPAM.Config`.
    ///
    /// # Errors
    /// Docker's words, when something fits no subnet.
    pub(super) fn configs(&self) -> Result<Vec<Value>, String> {
        if self.subnets.len() < self.ranges.len() || self.subnets.len() < self.gateways.len() {
            return Err("every ip-range or gateway must have a corresponding subnet".to_owned());
        }
        let mut configs: Vec<(&str, Map<String, Value>)> = Vec::new();
        for subnet in self.subnets {
            for (other, _) in &configs {
                if contains(subnet, other)? || contains(other, subnet)? {
                    return Err("multiple overlapping subnet configuration is not supported".into());
                }
            }
            let config = Map::from_iter([("Subnet".to_owned(), json!(subnet))]);
            configs.push((subnet, config));
        }
        self.put(&mut configs, self.ranges, ("IPRange", "range", "ranges"))?;
        self.put(
            &mut configs,
            self.gateways,
            ("Gateway", "gateway", "gateways"),
        )?;
        for word in self.others {
            let (name, address) = word
                .split_once('=')
                .ok_or_else(|| format!("invalid argument \"{word}\" for \"--aux-address\" flag: {word} must be formatted as key=value"))?;
            let config = place(&mut configs, address)?
                .ok_or_else(|| format!("no matching subnet for aux-address {address}"))?;
            let all = config
                .entry("AuxiliaryAddresses")
                .or_insert_with(|| json!({}));
            all[name] = json!(address);
        }
        Ok(configs
            .into_iter()
            .map(|(_, config)| Value::Object(config))
            .collect())
    }

    /// Puts each word to the subnet that it belongs to.
    fn put(
        &self,
        configs: &mut [(&str, Map<String, Value>)],
        words: &[String],
        (key, one, many): (&str, &str, &str),
    ) -> Result<(), String> {
        for word in words {
            let config = place(configs, word)?
                .ok_or_else(|| format!("no matching subnet for {one} {word}"))?;
            if let Some(old) = config.get(key).and_then(Value::as_str) {
                return Err(format!(
                    "cannot configure multiple {many} ({word}, {old}) on the same subnet ({})",
                    config["Subnet"].as_str().unwrap_or_default()
                ));
            }
            config.insert(key.to_owned(), json!(word));
        }
        Ok(())
    }
}

fn place<'a>(
    configs: &'a mut [(&str, Map<String, Value>)],
    word: &str,
) -> Result<Option<&'a mut Map<String, Value>>, String> {
    for (subnet, config) in configs {
        if contains(subnet, word)? {
            return Ok(Some(config));
        }
    }
    Ok(None)
}

/// Whether an address, or the first of a range, is in a subnet.
fn contains(subnet: &str, word: &str) -> Result<bool, String> {
    let bad = || format!("invalid CIDR address: {subnet}");
    let (address, prefix) = subnet.split_once('/').ok_or_else(bad)?;
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let prefix: u32 = prefix.parse().map_err(|_| bad())?;
    let first = word.split_once('/').map_or(word, |(address, _)| address);
    let first: IpAddr = first
        .parse()
        .map_err(|_| format!("invalid ip address: {word}"))?;
    let (a, b, width) = match (address, first) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return Ok(false),
    };
    if prefix > width {
        return Err(bad());
    }
    // A shift by all bits is none at all in arithmetic.
    let difference = (a ^ b).checked_shr(width - prefix).unwrap_or(0);
    Ok(difference == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(words: [&str; 4]) -> Result<Value, String> {
        let [subnets, ranges, gateways, others] = words.map(|words| {
            words
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        let wanted = Wanted {
            subnets: &subnets,
            ranges: &ranges,
            gateways: &gateways,
            others: &others,
        };
        wanted.configs().map(Value::Array)
    }

    #[test]
    fn each_finds_its_subnet() {
        let words = [
            "10.1.0.0/16 fd00::/64",
            "10.1.2.0/24",
            "fd00::1 10.1.0.1",
            "router=10.1.0.9",
        ];
        assert_eq!(
            configs(words),
            Ok(json!([
                {"Subnet": "10.1.0.0/16", "IPRange": "10.1.2.0/24", "Gateway": "10.1.0.1",
                 "AuxiliaryAddresses": {"router": "10.1.0.9"}},
                {"Subnet": "fd00::/64", "Gateway": "fd00::1"},
            ]))
        );
        assert_eq!(configs(["", "", "", ""]), Ok(json!([])));
    }

    #[test]
    fn what_fits_nowhere_is_said() {
        for (words, why) in [
            (
                ["", "10.0.0.0/24", "", ""],
                "must have a corresponding subnet",
            ),
            (
                ["10.0.0.0/8 10.1.0.0/16", "", "", ""],
                "multiple overlapping subnet",
            ),
            (
                ["10.0.0.0/8", "", "11.0.0.1", ""],
                "no matching subnet for gateway 11.0.0.1",
            ),
            (
                ["10.0.0.0/8", "", "", "x=11.0.0.1"],
                "no matching subnet for aux-address",
            ),
            (
                ["10.0.0.0/8 11.0.0.0/8", "", "10.0.0.1 10.0.0.2", ""],
                "multiple gateways",
            ),
            (
                ["10.0.0.0", "", "10.0.0.1", ""],
                "invalid CIDR address: 10.0.0.0",
            ),
        ] {
            let error = configs(words).err().unwrap_or_default();
            assert!(error.contains(why), "{words:?}: {error}");
        }
    }
}
