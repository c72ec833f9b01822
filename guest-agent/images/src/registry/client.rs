//! The HTTP client for one registry: whom it believes, and by which proxy it goes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Client, NoProxy, Proxy};

use super::place::Candidate;
use crate::{Access, Error, Result};

const CONNECT: Duration = Duration::from_secs(15);
/// A registry that sends nothing for this long has stalled.
const STALL: Duration = Duration::from_secs(45);

/// Makes the client.
pub(super) fn build(candidate: &Candidate, access: &Access) -> Result<Client> {
    let authority = candidate.places.first().map(|place| &*place.authority);
    let tls = super::trust::config(candidate.insecure, authority, &access.registries)?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        // One connection a layer beats streams that share one window.
        .http1_only()
        .connect_timeout(CONNECT)
        .read_timeout(STALL)
        .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")));
    if candidate.local {
        let address = access
            .localhost_alias
            .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        builder = builder
            .no_proxy()
            .resolve("localhost", SocketAddr::new(address, 0));
    } else {
        for proxy in proxies(access)? {
            builder = builder.proxy(proxy);
        }
    }
    builder
        .build()
        .map_err(|error| Error::Network(format!("set up the registry client: {error}")))
}

/// The proxies that were set; the library finds those of the environment by itself when there are
/// none.
fn proxies(access: &Access) -> Result<Vec<Proxy>> {
    let set = &access.registries.proxies;
    let direct = NoProxy::from_string(&set.no_proxy);
    let proxy = |text: &str, make: fn(reqwest::Url) -> reqwest::Result<Proxy>| -> Result<Proxy> {
        let url = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let bad = || Error::invalid(format!("invalid proxy {text:?}: expected a URL"));
        let url = reqwest::Url::parse(&url).map_err(|_| bad())?;
        let (url, _) = super::place::dialled(&url, access);
        let proxy = make(url).map_err(|_| bad())?;
        Ok(proxy.no_proxy(direct.clone()))
    };
    let mut proxies = Vec::new();
    if !set.http_proxy.is_empty() {
        proxies.push(proxy(&set.http_proxy, Proxy::http)?);
    }
    if !set.https_proxy.is_empty() {
        proxies.push(proxy(&set.https_proxy, Proxy::https)?);
    }
    Ok(proxies)
}
