//! Name servers on Windows.

use std::net::IpAddr;

use ipconfig::OperStatus;

/// Those of all network cards that work; that of the lowest metric, which Windows itself asks, first.
pub(in crate::names) fn find() -> Vec<IpAddr> {
    let mut adapters = ipconfig::get_adapters().unwrap_or_default();
    adapters.retain(|adapter| adapter.oper_status() == OperStatus::IfOperStatusUp);
    adapters.sort_by_key(ipconfig::Adapter::ipv4_metric);
    let all = adapters.iter().flat_map(ipconfig::Adapter::dns_servers);
    all.copied().collect()
}
