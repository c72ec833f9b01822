//! How this computer reaches the world: its proxies, and the authorities that it believes. The engine
//! reaches registries the same way.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use link::control::FromHost;

use super::host;

/// More than this does not go into the message: a hundred times the usual authorities.
const LARGEST: usize = 3 << 20;

/// What the engine is told. Blocks: a keychain takes its time.
pub(super) fn describe() -> FromHost {
    FromHost::Network {
        http_proxy: variable("http_proxy"),
        https_proxy: variable("https_proxy"),
        no_proxy: variable("no_proxy"),
        certificates: certificates(),
    }
}

/// Where the routes of this computer lead, its VPNs' with them; without the default route and
/// what is the computer's alone. `None` when the system does not tell.
pub(super) async fn routes() -> Option<FromHost> {
    let found = tokio::task::spawn_blocking(host::routes).await.ok()?;
    let found = found
        .inspect_err(|error| tracing::debug!(%error, "the routes of this computer are not known"))
        .ok()?;
    let mut subnets: Vec<String> = found
        .iter()
        .filter(|(address, length)| *length > 0 && leads_out(*address))
        .map(|(address, length)| format!("{address}/{length}"))
        .collect();
    subnets.sort();
    subnets.dedup();
    Some(FromHost::Routes { subnets })
}

/// Whether packets to there leave the computer, for one place only.
fn leads_out(address: IpAddr) -> bool {
    let near = match address {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(near || address.is_loopback() || address.is_multicast())
}

/// A variable in the small or large letters that programs use for it.
fn variable(name: &str) -> String {
    let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    get(name)
        .or_else(|| get(&name.to_uppercase()))
        .unwrap_or_default()
}

/// The authorities of the system's own store, with those that its administrator added; or those that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn certificates() -> String {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "an authority of this computer cannot be read");
    }
    let mut text = String::new();
    for certificate in &found.certs {
        let one = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            STANDARD.encode(certificate)
        );
        if text.len() + one.len() > LARGEST {
            tracing::warn!("this computer has too many authorities: some are left out");
            break;
        }
        text += &one;
    }
    text
}
