//! Settings of a whole container that belong to its place on its first network: its hardware address,
//! and the kernel's settings of one interface.

use std::collections::BTreeMap;

use engine::EndpointSettings;
use engine::containers::{Config, HostConfig};

use crate::error::{ApiError, Result};
use crate::version::ApiVersion;

type Networks = BTreeMap<String, EndpointSettings>;

/// The driver's option that the kernel's settings of an interface go to.
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";

/// The default network gets its name, in both places that name it.
pub(super) fn name_default(host: &mut HostConfig, networks: &mut Networks) {
    if !matches!(host.network_mode.as_str(), "" | "default") {
        return;
    }
    host.network_mode = "bridge".into();
    if let Some(settings) = networks.remove("default") {
        networks.insert("bridge".into(), settings);
    }
}

/// Moves the hardware address of the container to its first network. Returns a warning since 1.44: it
/// belongs there now, and before it did not.
pub(super) fn hardware_address(
    config: &mut Config,
    host: &HostConfig,
    networks: &mut Networks,
    version: ApiVersion,
) -> Result<Option<String>> {
    let old = !version.at_least(44);
    let address = std::mem::take(&mut config.mac_address);
    if address.is_empty() {
        if old {
            for settings in networks.values_mut() {
                settings.mac_address.clear();
            }
        }
        return Ok(None);
    }
    let mode = host.network_mode.as_str();
    if matches!(mode, "host" | "none") || mode.starts_with("container:") {
        if old {
            return Err(ApiError::invalid(
                "conflicting options: mac-address and the network mode",
            ));
        }
    } else {
        let settings = place(mode, networks, version).map_err(|error| {
            ApiError::invalid(format!(
                "unable to migrate container-wide MAC address to a specific network: {}",
                error.message
            ))
        })?;
        if old || settings.mac_address.is_empty() {
            settings.mac_address = address;
        } else if settings.mac_address != address {
            return Err(ApiError::invalid(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
            ));
        }
    }
    Ok((!old).then(|| "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.".into()))
}

/// Moves the settings of `eth0`, which does not exist when a container's other settings are written,
/// to the first network, and returns a warning. Since 1.48 they are refused.
pub(super) fn sysctls(
    host: &mut HostConfig,
    networks: &mut Networks,
    version: ApiVersion,
) -> Result<Option<String>> {
    let mode = host.network_mode.clone();
    if mode == "host" || mode.starts_with("container:") {
        return Ok(None);
    }
    let mut moved = Vec::new();
    let mut settings = Vec::new();
    for (key, value) in &host.sysctls {
        let parts: Vec<&str> = key.splitn(5, '.').collect();
        let ["net", family, group, interface, name] = parts[..] else {
            continue;
        };
        if !interface.starts_with("eth") {
            continue;
        }
        if version.at_least(48) {
            return Err(ApiError::invalid(format!(
                "interface specific sysctl setting {key:?} must be supplied using driver option '{SYSCTLS}'"
            ))
            .system());
        }
        place(&mode, networks, version).map_err(|error| {
            let why = error.message;
            ApiError::invalid(format!("unable to find a network for sysctl {key}: {why}"))
        })?;
        if interface != "eth0" {
            return Err(ApiError::invalid(format!(
                "unable to determine network endpoint for sysctl {key}, use driver option '{SYSCTLS}' to set per-interface sysctls"
            ))
            .system());
        }
        settings.push(format!("net.{family}.{group}.IFNAME.{name}={value}"));
        moved.push(key.clone());
    }
    if moved.is_empty() {
        return Ok(None);
    }
    host.sysctls.retain(|key, _| !moved.contains(key));
    let mut option = settings.join(",");
    let warning = format!(
        "Migrated sysctl {:?} to DriverOpts{{{SYSCTLS:?}:{option:?}}}.",
        moved.join(",")
    );
    let options = &mut place(&mode, networks, version)?.driver_opts;
    let options = options.get_or_insert_default();
    // The network's own come last, and so win.
    if let Some(own) = options.get(SYSCTLS) {
        option = format!("{option},{own}");
    }
    options.insert(SYSCTLS.into(), option);
    Ok(Some(warning))
}

/// The place on the network of that mode. With several names for networks it must be clear which is
/// meant.
fn place<'a>(
    mode: &str,
    networks: &'a mut Networks,
    version: ApiVersion,
) -> Result<&'a mut EndpointSettings> {
    let name = match networks.keys().next() {
        // There is only one, whatever it is called.
        Some(only) if !version.at_least(44) => only.clone(),
        Some(_) if !networks.contains_key(mode) => {
            return Err(ApiError::invalid(
                "HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
            ));
        }
        _ => mode.to_owned(),
    };
    Ok(networks.entry(name).or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn host(mode: &str, settings: &[(&str, &str)]) -> HostConfig {
        let settings = settings.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        HostConfig {
            network_mode: mode.into(),
            sysctls: settings.collect(),
            ..HostConfig::default()
        }
    }

    fn named(names: &[&str]) -> Networks {
        let names = names.iter().map(|name| (*name).to_owned());
        names
            .map(|name| (name, EndpointSettings::default()))
            .collect()
    }

    #[test]
    fn settings_of_the_interface_move_to_its_network() {
        let (log, forward) = (
            "net.ipv4.conf.eth0.log_martians",
            "net.ipv6.conf.eth0.forwarding",
        );
        let mut host = host(
            "n",
            &[(log, "1"), (forward, "0"), ("net.ipv4.ip_forward", "1")],
        );
        let mut networks = named(&["m", "n"]);
        let own = ("other".to_owned(), "x".to_owned());
        networks.get_mut("n").unwrap().driver_opts =
            Some(BTreeMap::from([own, (SYSCTLS.into(), "own=1".into())]));
        let warning = sysctls(&mut host, &mut networks, ApiVersion::minor(47)).unwrap();
        let moved = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.forwarding=0";
        assert_eq!(
            warning.unwrap(),
            format!(
                "Migrated sysctl \"{log},{forward}\" to DriverOpts{{\"{SYSCTLS}\":\"{moved}\"}}."
            )
        );
        let options = networks["n"].driver_opts.as_ref().unwrap();
        assert_eq!(options[SYSCTLS], format!("{moved},own=1"));
        assert_eq!(options["other"], "x");
        assert_eq!(host.sysctls.len(), 1);
    }

    #[test]
    fn settings_of_other_interfaces_are_refused() {
        let (first, second) = ("net.ipv4.conf.eth0.a", "net.ipv4.conf.eth1.a");
        let cases = [
            (
                48,
                &[][..],
                first,
                500,
                "interface specific sysctl setting \"net.ipv4.conf.eth0.a\" must be supplied using driver option 'com.docker.network.endpoint.sysctls'",
            ),
            (
                47,
                &[],
                second,
                500,
                "unable to determine network endpoint for sysctl net.ipv4.conf.eth1.a, use driver option 'com.docker.network.endpoint.sysctls' to set per-interface sysctls",
            ),
            (
                47,
                &["n"],
                first,
                400,
                "unable to find a network for sysctl net.ipv4.conf.eth0.a: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
            ),
        ];
        for (minor, names, key, status, expected) in cases {
            let (mut host, mut networks) = (host("bridge", &[(key, "1")]), named(names));
            let refused = sysctls(&mut host, &mut networks, ApiVersion::minor(minor));
            let refused = refused.unwrap_err();
            let found = (refused.status.as_u16(), refused.message.as_str());
            assert_eq!(found, (status, expected));
        }
        for (minor, mode, names) in [
            (48, "host", &[][..]),
            (43, "bridge", &["n"]),
            (47, "none", &[]),
        ] {
            let (mut host, mut networks) = (host(mode, &[(first, "1")]), named(names));
            let taken = sysctls(&mut host, &mut networks, ApiVersion::minor(minor)).unwrap();
            assert_eq!(taken.is_some(), mode != "host", "{mode}");
        }
    }

    #[test]
    fn the_default_networks_names_are_one() {
        let (mut host, mut networks) = (host("default", &[]), named(&["default"]));
        name_default(&mut host, &mut networks);
        assert_eq!(host.network_mode, "bridge");
        assert_eq!(networks, named(&["bridge"]));
    }

    #[test]
    fn a_hardware_address_needs_a_place() {
        let moved = |minor, mode, names: &[&str]| {
            let mut networks = named(names);
            let mut config = Config {
                mac_address: "02:00:00:00:00:01".into(),
                ..Config::default()
            };
            let host = host(mode, &[]);
            let warned =
                hardware_address(&mut config, &host, &mut networks, ApiVersion::minor(minor));
            warned
                .map(|warning| (warning.is_some(), networks))
                .map_err(|error| error.message)
        };
        let (warned, networks) = moved(51, "bridge", &[]).unwrap();
        assert!(warned && networks["bridge"].mac_address.ends_with("01"));
        let (warned, networks) = moved(43, "bridge", &["n"]).unwrap();
        assert!(!warned && networks["n"].mac_address.ends_with("01"));
        assert_eq!(moved(44, "none", &[]).unwrap(), (true, named(&[])));
        assert!(moved(43, "none", &[]).is_err());
        assert_eq!(
            moved(51, "bridge", &["n"]).unwrap_err(),
            "unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks"
        );
    }
}
