//! Options of the drivers `bridge`, `macvlan`, `ipvlan`, and of endpoints.

use std::collections::BTreeMap;

use network::{Gateway, Kind};

use crate::Error;

type Options = BTreeMap<String, String>;

/// What the options of a network say.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    pub(super) kind: Kind,
    pub(super) interface: String,
    pub(super) mtu: u32,
    pub(super) icc: bool,
    pub(super) ipv4: Gateway,
    pub(super) ipv6: Gateway,
    pub(super) publish_on: Option<std::net::IpAddr>,
}

/// Reads a network's options. `id` names its interface where no option does.
pub(super) fn read(
    driver: &str,
    options: &Options,
    id: &str,
    internal: bool,
    mtu: u32,
) -> Result<Driver, Error> {
    let get = |name: &str| {
        options
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    };
    let short = crate::ids::short(id);
    let mtu = match get("com.docker.network.driver.mtu") {
        None => mtu,
        Some(text) => match text.parse::<u32>() {
            Ok(0) => mtu,
            Ok(wanted) if (68..=65_535).contains(&wanted) => wanted,
            _ => {
                return Err(Error::Invalid(format!(
                    "failed to parse com.docker.network.driver.mtu value: {text} is not between 68 and 65535"
                )));
            }
        },
    };
    let mut read = Driver {
        kind: Kind::Bridge,
        interface: format!("br-{short}"),
        mtu,
        icc: true,
        ipv4: Gateway::Nat,
        ipv6: Gateway::Nat,
        publish_on: None,
    };
    match driver {
        "bridge" => bridge(&mut read, get)?,
        "macvlan" => {
            let mode = get("macvlan_mode").unwrap_or("bridge");
            let mode = match mode {
                "private" => 1,
                "vepa" => 2,
                "bridge" => 4,
                "passthru" => 8,
                other => {
                    return Err(Error::Invalid(format!(
                        "unknown macvlan mode: {other}; use bridge, private, vepa or passthru"
                    )));
                }
            };
            read.kind = Kind::Macvlan(mode);
            read.interface = parent(get("parent"), short, internal)?;
        }
        _ => {
            let mode = match get("ipvlan_mode").unwrap_or("l2") {
                "l2" => 0,
                "l3" => 1,
                "l3s" => 2,
                other => {
                    return Err(Error::Invalid(format!(
                        "requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"
                    )));
                }
            };
            read.kind = Kind::Ipvlan(mode);
            read.interface = parent(get("parent"), short, internal)?;
        }
    }
    Ok(read)
}

/// The interface that a network shares: the machine's, or one of its own that leads nowhere.
fn parent(named: Option<&str>, short: &str, internal: bool) -> Result<String, Error> {
    match named {
        Some(name) => interface_name(name),
        None if internal => Ok(format!("dm-{short}")),
        None => Err(Error::Invalid(
            "a macvlan or ipvlan network needs an interface of the machine to share: name it with -o parent=eth0, or make the network --internal".into(),
        )),
    }
}

fn interface_name(name: &str) -> Result<String, Error> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    if name.len() <= 15 && !matches!(name, "." | "..") && name.chars().all(plain) {
        return Ok(name.to_owned());
    }
    Err(Error::Invalid(format!("invalid interface name: {name}")))
}

fn bridge<'a>(read: &mut Driver, get: impl Fn(&str) -> Option<&'a str>) -> Result<(), Error> {
    let flag = |name: &str, default: bool| match get(name) {
        None => Ok(default),
        Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
        Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
        Some(text) => Err(Error::Invalid(format!(
            "invalid value for {name}: strconv.ParseBool: parsing \"{text}\": invalid syntax"
        ))),
    };
    if let Some(name) = get("com.docker.network.bridge.name") {
        read.interface = interface_name(name)?;
    }
    read.icc = flag("com.docker.network.bridge.enable_icc", true)?;
    let masquerade = flag("com.docker.network.bridge.enable_ip_masquerade", true)?;
    if let Some(text) = get("com.docker.network.bridge.host_binding_ipv4") {
        let address = text
            .parse()
            .map_err(|_| Error::Invalid(format!("invalid host binding address: {text}")))?;
        read.publish_on = Some(address);
    }
    for (name, mode) in [
        (
            "com.docker.network.bridge.gateway_mode_ipv4",
            &mut read.ipv4,
        ),
        (
            "com.docker.network.bridge.gateway_mode_ipv6",
            &mut read.ipv6,
        ),
    ] {
        *mode = match get(name) {
            None | Some("nat") if masquerade => Gateway::Nat,
            None | Some("nat") => Gateway::Unhidden,
            Some("nat-unprotected") => Gateway::NatUnprotected,
            Some("routed") => Gateway::Routed,
            Some("isolated") => Gateway::Isolated,
            Some(other) => {
                return Err(Error::Invalid(format!(
                    "unknown gateway mode {other}: use nat, nat-unprotected, routed or isolated"
                )));
            }
        };
    }
    Ok(())
}

/// A hardware address.
pub(super) fn mac(text: &str) -> Result<Option<[u8; 6]>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Error::Invalid(format!("invalid MAC address: {text}"));
    let pairs: Vec<u8> = text
        .split([':', '-'])
        .map(|pair| u8::from_str_radix(pair, 16).map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    let mac: [u8; 6] = pairs.try_into().map_err(|_| wrong())?;
    Ok(Some(mac))
}

/// The interface's name and settings that an endpoint's options ask for.
pub(super) fn endpoint(options: Option<&Options>) -> (Option<String>, Vec<(String, String)>) {
    let get = |name: &str| options.and_then(|options| options.get(name));
    let sysctls = get("com.docker.network.endpoint.sysctls")
        .into_iter()
        .flat_map(|text| text.split(','))
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(key, value)| {
            // A dot stands for a slash, but not in the interface's name.
            let key = key.trim_start_matches("net.").replace('.', "/");
            (key, value.to_owned())
        })
        .collect();
    let interface = get("com.docker.network.endpoint.ifname").cloned();
    (interface, sysctls)
}
