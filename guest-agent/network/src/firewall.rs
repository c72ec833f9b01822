//! The firewall: the whole of our nftables table, replaced in one transaction.

mod rules;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::{Error, Published, Spec};

const FAMILY: &str = "inet";

/// What the names of our tables begin with; each is named for its bridge.
const OURS: &str = "slipway";

/// Replaces our table; other tables stay as they are. Whatever the table held, the result is the
/// same, and there is no moment without rules.
pub(crate) fn install(
    nft: &Path,
    table: &str,
    specs: &[&Spec],
    published: &[&Published],
    names: Option<Ipv4Addr>,
) -> Result<(), Error> {
    let rules = rules::table(table, specs, published, names).to_string();
    accepted(&run(nft, &["-j", "-f", "-"], &rules)?)
}

/// Sends questions for 127.0.0.11 in the calling thread's network namespace to `udp` and `tcp`,
/// ports of that address.
pub(crate) fn redirect_names(nft: &Path, udp: u16, tcp: u16) -> Result<(), Error> {
    let rules = rules::names(udp, tcp).to_string();
    accepted(&run(nft, &["-j", "-f", "-"], &rules)?)
}

/// Removes our table.
pub(crate) fn remove(nft: &Path, table: &str) -> Result<(), Error> {
    let table = rules::name(table);
    // Adding it first makes the removal of a missing table no error.
    let commands = json!({"nftables": [{"add": table}, {"delete": table}]});
    accepted(&run(nft, &["-j", "-f", "-"], &commands.to_string())?)
}

/// Replaces our table of interfaces that may send so many bytes a second; without any there is no
/// table.
pub(crate) fn limit(nft: &Path, table: &str, limits: &BTreeMap<String, u64>) -> Result<(), Error> {
    let rules = rules::limits(table, limits).to_string();
    accepted(&run(nft, &["-j", "-f", "-"], &rules)?)
}

/// Names chains of others that drop forwarded packets by default: an accept of ours can't overrule
/// them, so containers would have no way out.
pub(crate) fn foreign_drops(nft: &Path) -> Result<Vec<String>, Error> {
    let output = run(nft, &["-j", "list", "chains"], "")?;
    accepted(&output)?;
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(Error::NftAnswer)?;
    Ok(dropping_chains(&answer))
}

fn dropping_chains(answer: &Value) -> Vec<String> {
    let empty = Vec::new();
    let objects = answer["nftables"].as_array().unwrap_or(&empty);
    objects
        .iter()
        .map(|object| &object["chain"])
        .filter(|chain| chain["hook"] == "forward" && chain["policy"] == "drop")
        .filter(|chain| chain["family"] == "ip" || chain["family"] == "inet")
        .filter(|chain| {
            !chain["table"]
                .as_str()
                .unwrap_or_default()
                .starts_with(OURS)
        })
        .map(|chain| {
            let word = |key: &str| chain[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", word("family"), word("table"), word("name"))
        })
        .collect()
}

fn run(nft: &Path, arguments: &[&str], input: &str) -> Result<Output, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Error::NftMissing {
            program: nft.to_owned(),
        },
        _ => Error::NftRun {
            program: nft.to_owned(),
            source,
        },
    };
    let mut child = Command::new(nft)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early says why on its standard error; the broken pipe adds nothing.
        match stdin.write_all(input.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed(error)),
            _ => {}
        }
    }
    child.wait_with_output().map_err(failed)
}

fn accepted(output: &Output) -> Result<(), Error> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::NftRefused {
        output: if said.is_empty() {
            output.status.to_string()
        } else {
            said
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_foreign_forward_chains_with_a_drop_policy_are_named() {
        let answer = json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
            {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
            {"chain": {"family": "inet", "table": "slipway", "name": "forward", "hook": "forward", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
            {"chain": {"family": "ip", "table": "filter", "name": "DOCKER"}},
        ]});
        assert_eq!(dropping_chains(&answer), ["ip filter FORWARD"]);
    }

    #[test]
    fn a_missing_program_is_named_with_what_to_install() {
        let Err(error) = run(Path::new("/nonexistent/nft"), &[], "") else {
            unreachable!("the program does not exist");
        };
        assert_eq!(
            error.to_string(),
            "the firewall program /nonexistent/nft was not found: install the package nftables"
        );
    }
}
