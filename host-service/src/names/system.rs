//! The system's own resolver. Both questions may block for long.

use std::net::IpAddr;

use dns_lookup::{LookupError, LookupErrorKind};

use super::found::Found;

/// A name's addresses of both kinds.
pub(super) fn addresses(name: &str) -> Found {
    // No name at all, and what the system would take for an address.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.is_empty() || last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
        return Found::nobody();
    }
    match dns_lookup::lookup_host(name) {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for ip in found {
                if !addresses.contains(&ip) {
                    addresses.push(ip);
                }
            }
            Found::addresses(addresses)
        }
        Err(error) => without(&error),
    }
}

/// An address's name.
pub(super) fn name_of(ip: IpAddr) -> Found {
    match dns_lookup::lookup_addr(&ip) {
        Ok(name) => Found::name(name),
        Err(error) => without(&error),
    }
}

/// What there is when nothing was found: no such name, nothing of it, or nobody to ask.
fn without(error: &LookupError) -> Found {
    match error.kind() {
        LookupErrorKind::NoName => Found::nobody(),
        LookupErrorKind::NoData => Found::nothing(),
        _ => {
            tracing::debug!(%error, "this computer does not resolve a name");
            Found::failed()
        }
    }
}
