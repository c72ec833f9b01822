//! Options of the drivers `bridge`, `macvlan`, `ipvlan`, and of endpoints.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::{Gateway, Kind, Spec};

use super::ipam::NoGateway;
use crate::Error;
use crate::error::go_bool;

type Options = BTreeMap<String, String>;

/// What the options of a network say.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    pub(super) kind: Kind,
    pub(super) interface: String,
    pub(super) mtu: u32,
    pub(super) internal: bool,
    pub(super) icc: bool,
    pub(super) ipv4: Gateway,
    pub(super) ipv6: Gateway,
    pub(super) inhibit_ipv4: bool,
    pub(super) publish_on: Option<IpAddr>,
    pub(super) no_gateway: NoGateway,
}

/// Reads a network's options. `id` names its interface where no option does.
pub(super) fn read(
    driver: &str,
    options: &Options,
    id: &str,
    internal: bool,
    mtu: u32,
) -> Result<Driver, Error> {
    let short = crate::ids::short(id);
    let mut read = Driver {
        kind: Kind::Bridge,
        interface: format!("br-{short}"),
        mtu: self::mtu(options, mtu)?,
        internal,
        icc: true,
        ipv4: Gateway::Nat,
        ipv6: Gateway::Nat,
        inhibit_ipv4: false,
        publish_on: None,
        no_gateway: NoGateway::default(),
    };
    if driver == "bridge" {
        bridge(&mut read, options)?;
        return Ok(read);
    }
    let get = |name: &str| {
        let value = options.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    };
    let parent = get("parent");
    if parent == Some("lo") {
        return Err(Error::System(format!(
            "loopback interface is not a valid {driver} parent link"
        )));
    }
    read.kind = if driver == "macvlan" {
        macvlan(get("macvlan_mode"))?
    } else {
        ipvlan(get("ipvlan_mode"), get("ipvlan_flag"))?
    };
    // Without an interface to share it has one of its own that leads nowhere.
    read.internal |= parent.is_none();
    read.interface =
        parent.map_or_else(|| format!("{}{short}", Spec::LEADS_NOWHERE), str::to_owned);
    let alone = read.internal || matches!(read.kind, Kind::Ipvlan(1 | 2));
    read.no_gateway = NoGateway {
        ipv4: alone,
        ipv6: alone,
    };
    Ok(read)
}

fn macvlan(mode: Option<&str>) -> Result<Kind, Error> {
    Ok(Kind::Macvlan(match mode.unwrap_or("bridge") {
        "private" => 1,
        "vepa" => 2,
        "bridge" => 4,
        "passthru" => 8,
        other => {
            return Err(Error::System(format!(
                "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"
            )));
        }
    }))
}

fn ipvlan(mode: Option<&str>, flag: Option<&str>) -> Result<Kind, Error> {
    let mode = match mode.unwrap_or("l2") {
        "l2" => 0,
        "l3" => 1,
        "l3s" => 2,
        other => {
            return Err(Error::System(format!(
                "requested ipvlan mode '{other}' is not valid, 'l2' mode is the ipvlan driver default"
            )));
        }
    };
    if let Some(other) = flag.filter(|flag| !matches!(*flag, "bridge" | "private" | "vepa")) {
        return Err(Error::System(format!(
            "requested ipvlan flag '{other}' is not valid, 'bridge' is the ipvlan driver default"
        )));
    }
    Ok(Kind::Ipvlan(mode))
}

/// What dockerd says of a value that it can't read.
fn unreadable(name: &str, value: &str, why: &str) -> Error {
    Error::Invalid(format!("failed to parse {name} value: {value} ({why})"))
}

fn mtu(options: &Options, usual: u32) -> Result<u32, Error> {
    let name = "com.docker.network.driver.mtu";
    let Some(text) = options.get(name) else {
        return Ok(usual);
    };
    let wanted: i64 = text.parse().map_err(|_| {
        let digits = text.trim_start_matches(['+', '-']);
        let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let why = if number {
            "value out of range"
        } else {
            "invalid syntax"
        };
        unreadable(
            name,
            text,
            &format!("strconv.Atoi: parsing \"{text}\": {why}"),
        )
    })?;
    match wanted {
        0 => Ok(usual),
        ..0 => Err(Error::Invalid(format!("invalid MTU number: {wanted}"))),
        // The kernel's word for it.
        _ => match u32::try_from(wanted) {
            Ok(fits) if (68..=65_535).contains(&fits) => Ok(fits),
            _ => Err(Error::System("invalid argument".into())),
        },
    }
}

fn flag(options: &Options, name: &str, usual: bool) -> Result<bool, Error> {
    match options.get(name) {
        None => Ok(usual),
        Some(text) => go_bool(text).map_err(|why| unreadable(name, text, &why)),
    }
}

fn address(options: &Options, name: &str) -> Result<Option<IpAddr>, Error> {
    let text = options.get(name);
    text.map(|text| text.parse().map_err(|_| unreadable(name, text, "nil ip")))
        .transpose()
}

fn bridge(read: &mut Driver, options: &Options) -> Result<(), Error> {
    let name = options.get("com.docker.network.bridge.name");
    read.icc = flag(options, "com.docker.network.bridge.enable_icc", true)?;
    let masquerade = flag(
        options,
        "com.docker.network.bridge.enable_ip_masquerade",
        true,
    )?;
    read.inhibit_ipv4 = flag(options, "com.docker.network.bridge.inhibit_ipv4", false)?;
    read.publish_on = address(options, "com.docker.network.bridge.host_binding_ipv4")?;
    address(options, "com.docker.network.host_ipv4")?;
    address(options, "com.docker.network.host_ipv6")?;
    for (kind, mode) in [("ipv4", &mut read.ipv4), ("ipv6", &mut read.ipv6)] {
        let name = format!("com.docker.network.bridge.gateway_mode_{kind}");
        *mode = match options.get(&name).map(String::as_str) {
            None | Some("nat") if masquerade => Gateway::Nat,
            None | Some("nat") => Gateway::Unhidden,
            Some("nat-unprotected") => Gateway::NatUnprotected,
            Some("routed") => Gateway::Routed,
            Some("isolated") => Gateway::Isolated,
            Some(other) => {
                let why = format!("unknown gateway mode {other}");
                return Err(unreadable(&name, other, &why));
            }
        };
    }
    let isolated = [read.ipv4, read.ipv6].map(|mode| mode == Gateway::Isolated);
    if isolated.contains(&true) && !read.internal {
        return Err(Error::System(
            "gateway mode 'isolated' can only be used for an internal network".into(),
        ));
    }
    read.no_gateway = NoGateway {
        ipv4: isolated[0] || (read.inhibit_ipv4 && read.internal),
        ipv6: isolated[1],
    };
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        read.interface = interface_name(name)?;
    }
    Ok(())
}

/// What the kernel says of names that it does not take.
fn interface_name(name: &str) -> Result<String, Error> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    if name.len() > 15 {
        return Err(Error::System("numerical result out of range".into()));
    }
    if matches!(name, "." | "..") || !name.chars().all(plain) {
        return Err(Error::System("invalid argument".into()));
    }
    Ok(name.to_owned())
}

/// A hardware address.
pub(super) fn mac(text: &str) -> Result<Option<[u8; 6]>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Error::Invalid(format!("invalid MAC address {text}"));
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
            // A dot stands for a slash, but not in the interface's name. Clients write that small.
            let key = key.trim_start_matches("net.").replace('.', "/");
            let key = key.replace("/ifname/", "/IFNAME/");
            (key, value.to_owned())
        })
        .collect();
    let interface = get("com.docker.network.endpoint.ifname").cloned();
    (interface, sysctls)
}
