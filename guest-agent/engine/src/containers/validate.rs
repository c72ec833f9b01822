//! Checks of a create request, with dockerd's words.

use super::resources::{self, Machine};
use super::{Config, HostConfig, capabilities, devices, mounts, security, signals};
use crate::{Error, networks};

const AUTO_REMOVE: &str = "can't create 'AutoRemove' container with restart policy";

fn invalid<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(message.into()))
}

/// Checks the portable half.
pub(crate) fn config(config: &mut Config) -> Result<(), Error> {
    if !config.working_dir.is_empty() {
        if !config.working_dir.starts_with('/') {
            return invalid(format!(
                "the working directory '{}' is invalid, it needs to be an absolute path",
                config.working_dir
            ));
        }
        config.working_dir = clean_path(&config.working_dir);
    }
    if !config.stop_signal.is_empty() {
        signals::number(&config.stop_signal)?;
    }
    for env in &config.env {
        if env.is_empty() || env.starts_with('=') {
            return invalid(format!("invalid environment variable: {env}"));
        }
    }
    Ok(())
}

/// Checks the machine's half and fills in its defaults. Returns warnings.
pub(crate) fn host_config(host: &mut HostConfig, machine: &Machine) -> Result<Vec<String>, Error> {
    if host.memory > 0 && host.memory_swap == 0 {
        // Docker's default: as much swap as memory.
        host.memory_swap = host.memory.saturating_mul(2);
    }
    if host.pids_limit.is_some_and(|limit| limit <= 0) {
        host.pids_limit = None;
    }
    if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
        return invalid(AUTO_REMOVE);
    }
    mounts::check_requests(&host.mounts)?;
    extra_hosts(host)?;
    networks::check_ports(host)?;
    restart_policy(host)?;
    capabilities::normalise(host.cap_add.as_deref().unwrap_or_default(), "CapAdd")?;
    capabilities::normalise(host.cap_drop.as_deref().unwrap_or_default(), "CapDrop")?;
    if host.annotations.contains_key("") {
        return invalid(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        );
    }
    let mut warnings = resources::check(host, machine, false)?;
    modes(host)?;
    if host.shm_size < 0 {
        return invalid("SHM size can not be less than 0");
    }
    if !matches!(host.uts_mode.as_str(), "" | "host") {
        return invalid(format!("invalid UTS mode: {}", host.uts_mode));
    }
    if host.shm_size == 0 {
        host.shm_size = 64 * 1024 * 1024;
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        ));
    }
    if host.network_mode == "host" && host.published().next().is_some() {
        warnings.push("Published ports are discarded when using host network mode".into());
    }
    if !matches!(host.runtime.as_str(), "" | "runc" | "io.containerd.runc.v2") {
        return invalid(format!("unknown or invalid runtime name: {}", host.runtime));
    }
    if host.runtime.is_empty() {
        // By Docker's name: clients compare it.
        host.runtime = "runc".into();
    }
    mounts::check_tmpfs(&host.tmpfs)?;
    if !matches!(host.cgroupns_mode.as_str(), "private" | "host") {
        return invalid(format!(
            "invalid cgroup namespace mode: {}",
            host.cgroupns_mode
        ));
    }
    security::fill_in(host, machine.cpus);
    Ok(warnings)
}

fn extra_hosts(host: &HostConfig) -> Result<(), Error> {
    for extra in host.extra_hosts.iter().flatten() {
        let Some((name, address)) = extra.split_once(':') else {
            return invalid(format!("bad format for add-host: \"{extra}\""));
        };
        if name.is_empty() {
            return invalid(format!("bad format for add-host: \"{extra}\""));
        }
        if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
            return invalid(format!("invalid IP address in add-host: \"{address}\""));
        }
    }
    Ok(())
}

/// What Docker refuses while it reads the request: what can't be had together with somebody else's
/// network or the machine's, and what no Linux has.
pub(crate) fn decoded(config: &Config, host: &HostConfig) -> Result<(), Error> {
    if matches!(host.network_mode.as_str(), "container" | "container:") {
        return invalid("invalid network mode: invalid container format container:<name|id>");
    }
    if let Some(what) = conflict(config, host) {
        return invalid(format!("conflicting options: {what}"));
    }
    if !matches!(host.isolation.as_str(), "" | "default") {
        return invalid(format!(
            "invalid isolation ({}): linux only supports 'default'",
            host.isolation
        ));
    }
    resources::check_decoded(host)
}

fn conflict(config: &Config, host: &HostConfig) -> Option<&'static str> {
    let given = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if host.network_container().is_some() {
        if !config.hostname.is_empty() {
            return Some("hostname and the network mode");
        }
        if given(&host.links) {
            return Some(
                "container type network can't be used with links. This would result in undefined behavior",
            );
        }
        if given(&host.dns) {
            return Some("dns and the network mode");
        }
        if given(&host.extra_hosts) {
            return Some("custom host-to-IP mapping and the network mode");
        }
        if host.published().next().is_some() || host.publish_all_ports {
            return Some("port publishing and the container type network mode");
        }
        if !config.exposed_ports.is_empty() {
            return Some("port exposing and the container type network mode");
        }
    }
    if host.uts_mode == "host" && !config.hostname.is_empty() {
        return Some("hostname and the UTS mode");
    }
    if host.network_mode == "host" && given(&host.links) {
        return Some(
            "host type networking can't be used with links. This would result in undefined behavior",
        );
    }
    None
}

/// What Docker refuses once the container has its name, or with its start only.
pub(crate) fn security(host: &HostConfig) -> Result<(), Error> {
    security::read(host)?;
    storage(host)?;
    if host
        .cgroup_parent
        .split('/')
        .any(|part| matches!(part, "." | ".."))
    {
        return invalid(format!(
            "invalid cgroup-parent: {}: it must not hold . or ..",
            host.cgroup_parent
        ));
    }
    devices::check(host)
}

/// The containers' layers are directories of one file system, which has no quotas of its own.
fn storage(host: &HostConfig) -> Result<(), Error> {
    match host.storage_opt.keys().next().map(String::as_str) {
        None => Ok(()),
        Some("size") => Err(Error::System(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
                .into(),
        )),
        Some(other) => Err(Error::System(format!("Unknown option {other}"))),
    }
}

pub(crate) fn restart_policy(host: &mut HostConfig) -> Result<(), Error> {
    if host.restart_policy.name.is_empty() {
        host.restart_policy.name = "no".into();
    }
    let policy = &host.restart_policy;
    if host.auto_remove && policy.name != "no" {
        return invalid(AUTO_REMOVE);
    }
    match policy.name.as_str() {
        "always" | "unless-stopped" | "no" => {
            if policy.maximum_retry_count != 0 {
                let mut message =
                    "invalid restart policy: maximum retry count can only be used with 'on-failure'"
                        .to_owned();
                if policy.maximum_retry_count < 0 {
                    message += " and cannot be negative";
                }
                return invalid(message);
            }
            Ok(())
        }
        "on-failure" if policy.maximum_retry_count < 0 => {
            invalid("invalid restart policy: maximum retry count cannot be negative")
        }
        "on-failure" => Ok(()),
        name => invalid(format!(
            "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )),
    }
}

fn modes(host: &mut HostConfig) -> Result<(), Error> {
    if host.network_mode.is_empty() || host.network_mode == "default" {
        host.network_mode = "bridge".into();
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode = "private".into();
    }
    if host.cgroupns_mode.is_empty() {
        // With cgroup v2 a privileged container has a namespace of its own, too.
        host.cgroupns_mode = "private".into();
    }
    let container = |mode: &str| {
        mode.strip_prefix("container:")
            .is_some_and(|n| !n.is_empty())
    };
    let ipc = host.ipc_mode.as_str();
    let known = matches!(ipc, "private" | "shareable" | "host" | "none");
    // Whose it is is looked at with the start, as Docker does.
    if !known && !ipc.starts_with("container:") {
        return invalid(format!("invalid IPC mode: {ipc}"));
    }
    if !matches!(host.pid_mode.as_str(), "" | "host") && !container(&host.pid_mode) {
        return invalid(format!("invalid PID mode: {}", host.pid_mode));
    }
    Ok(())
}

/// Bytes of a size such as `10m`, `64k`, `1g`, `512`.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let lower = lower.strip_suffix('i').unwrap_or(lower);
    let (number, scale) = match lower.chars().last()? {
        'k' => (&lower[..lower.len() - 1], 1u64 << 10),
        'm' => (&lower[..lower.len() - 1], 1 << 20),
        'g' => (&lower[..lower.len() - 1], 1 << 30),
        't' => (&lower[..lower.len() - 1], 1 << 40),
        _ => (lower, 1),
    };
    number.trim().parse::<u64>().ok()?.checked_mul(scale)
}

/// The path without `.`, `..`, and double slashes, by its text alone.
pub(crate) fn clean_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::resources::tests::ALL;
    use super::*;

    const MACHINE: Machine = Machine {
        cpus: 2,
        supported: ALL,
    };

    #[test]
    fn says_what_dockerd_says() {
        type Change = fn(&mut HostConfig);
        let one = |text: &str| Some(vec![text.to_owned()]);
        let table: &[(Change, &str)] = &[
            (|h| h.memory = 1024, "Minimum memory limit allowed is 6MB"),
            (|h| h.pid_mode = "foo".into(), "invalid PID mode: foo"),
            (
                |h| h.pid_mode = "container:".into(),
                "invalid PID mode: container:",
            ),
            (|h| h.ipc_mode = "foo".into(), "invalid IPC mode: foo"),
            (|h| h.uts_mode = "foo".into(), "invalid UTS mode: foo"),
            (
                |h| h.cgroupns_mode = "foo".into(),
                "invalid cgroup namespace mode: foo",
            ),
            (
                |h| h.isolation = "hyperv".into(),
                "invalid isolation (hyperv): linux only supports 'default'",
            ),
            (
                |h| h.runtime = "kata".into(),
                "unknown or invalid runtime name: kata",
            ),
            (
                |h| h.restart_policy.name = "maybe".into(),
                "invalid restart policy: unknown policy 'maybe'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
            ),
            (|h| h.shm_size = -1, "SHM size can not be less than 0"),
            (
                |h| h.oom_score_adj = 1001,
                "Invalid value 1001, range for oom score adj is [-1000, 1000]",
            ),
            (
                |h| drop(h.annotations.insert(String::new(), "x".into())),
                "invalid Annotations: the empty string is not permitted as an annotation key",
            ),
            (
                |h| drop(h.storage_opt.insert("size".into(), "1g".into())),
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
            ),
        ];
        let message = |mut host: HostConfig| {
            let early = decoded(&Config::default(), &host);
            let checked = early.and_then(|()| host_config(&mut host, &MACHINE).map(drop));
            let checked = checked.and_then(|()| security(&host));
            checked.unwrap_err().to_string()
        };
        for (change, expected) in table {
            let mut host = HostConfig::default();
            change(&mut host);
            assert_eq!(message(host), *expected);
        }
        for (extra, expected) in [
            ("nope", "bad format for add-host: \"nope\""),
            (":1.2.3.4", "bad format for add-host: \":1.2.3.4\""),
            ("a:b", "invalid IP address in add-host: \"b\""),
        ] {
            let host = HostConfig {
                extra_hosts: one(extra),
                ..HostConfig::default()
            };
            assert_eq!(message(host), expected);
        }
    }

    #[test]
    fn fills_in_defaults() {
        let mut host = HostConfig {
            network_mode: "default".into(),
            memory: 64 << 20,
            extra_hosts: Some(vec!["a:host-gateway".into(), "b:::1".into()]),
            ..HostConfig::default()
        };
        assert!(host_config(&mut host, &MACHINE).unwrap().is_empty());
        assert_eq!(host.network_mode, "bridge");
        assert_eq!(host.shm_size, 67_108_864);
        assert_eq!(host.ipc_mode, "private");
        assert_eq!(host.restart_policy.name, "no");
        assert_eq!(host.memory_swap, 128 << 20);
        assert!(host.masked_paths.is_some());
    }

    #[test]
    fn sizes_and_paths() {
        assert_eq!(parse_size("10m"), Some(10 << 20));
        assert_eq!(parse_size("3KB"), Some(3 << 10));
        assert_eq!(parse_size("x"), None);
        assert_eq!(clean_path("/a/../b//./c/"), "/b/c");
        assert_eq!(clean_path("/.."), "/");
    }
}
