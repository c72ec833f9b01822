//! Checks of a create request, with dockerd's words.

use super::{Config, HostConfig, capabilities, signals};
use crate::Error;

const SIX_MEGABYTES: i64 = 6 * 1024 * 1024;

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
        signals::parse(&config.stop_signal)?;
    }
    for env in &config.env {
        if env.is_empty() || env.starts_with('=') {
            return invalid(format!("invalid environment variable: {env}"));
        }
    }
    Ok(())
}

/// Checks the machine's half and fills in its defaults. Returns warnings.
pub(crate) fn host_config(host: &mut HostConfig, cpus: usize) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    restart_policy(host)?;
    for extra in host.extra_hosts.iter().flatten() {
        let parts = extra.split_once([':', '=']);
        if parts.is_none_or(|(name, _)| name.is_empty()) {
            return invalid(format!("bad format for add-host: \"{extra}\""));
        }
    }
    for key in host.port_bindings.keys() {
        let port = key.split('/').next().unwrap_or_default();
        if port.parse::<u16>().is_err() {
            return invalid(format!("invalid port specification: \"{port}\""));
        }
    }
    if host
        .port_bindings
        .values()
        .flatten()
        .flatten()
        .next()
        .is_some()
        || host.publish_all_ports
    {
        warnings.push(
            "Slipway does not publish ports yet: the container runs, but its ports can't be reached from outside the machine"
                .into(),
        );
    }
    capabilities::normalise(host.cap_add.as_deref().unwrap_or_default(), "CapAdd")?;
    capabilities::normalise(host.cap_drop.as_deref().unwrap_or_default(), "CapDrop")?;
    if host.annotations.contains_key("") {
        return invalid(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        );
    }
    resources(host, cpus)?;
    modes(host)?;
    if host.shm_size < 0 {
        return invalid("SHM size can not be less than 0");
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
    log_config(host)?;
    if host.pids_limit.is_some_and(|limit| limit <= 0) {
        host.pids_limit = None;
    }
    not_supported(host)?;
    Ok(warnings)
}

fn restart_policy(host: &mut HostConfig) -> Result<(), Error> {
    if host.restart_policy.name.is_empty() {
        host.restart_policy.name = "no".into();
    }
    let policy = &host.restart_policy;
    if host.auto_remove && policy.name != "no" {
        return invalid("can't create 'AutoRemove' container with restart policy");
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

fn resources(host: &mut HostConfig, cpus: usize) -> Result<(), Error> {
    if host.memory > 0 && host.memory < SIX_MEGABYTES {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if host.memory == 0 && host.memory_swap > 0 {
        return invalid(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    if host.memory > 0 && host.memory_swap == 0 {
        // Docker's default: as much swap as memory.
        host.memory_swap = host.memory.saturating_mul(2);
    }
    if let Some(swappiness) = host.memory_swappiness
        && !(-1..=100).contains(&swappiness)
    {
        return invalid(format!(
            "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        ));
    }
    if host.memory_reservation > 0 && host.memory_reservation < SIX_MEGABYTES {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if host.memory > 0 && host.memory_reservation > host.memory {
        return invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    if host.nano_cpus > 0 && host.cpu_period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if host.nano_cpus > 0 && host.cpu_quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    let most = i64::try_from(cpus)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000_000);
    if host.nano_cpus < 0 || host.nano_cpus > most {
        return invalid(format!(
            "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        ));
    }
    if host.cpu_shares < 0 {
        return invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            host.cpu_shares
        ));
    }
    if host.cpu_period != 0 && !(1000..=1_000_000).contains(&host.cpu_period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if host.cpu_quota > 0 && host.cpu_quota < 1000 {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if host.blkio_weight > 0 && !(10..=1000).contains(&host.blkio_weight) {
        return invalid("Range of blkio weight is from 10 to 1000");
    }
    if !host.cpuset_cpus.is_empty() {
        let fits = host.cpuset_cpus.split(',').all(|range| {
            range
                .split('-')
                .all(|cpu| cpu.trim().parse::<usize>().is_ok_and(|n| n < cpus))
        });
        if !fits {
            return invalid(format!(
                "Requested CPUs are not available - requested {}, available: 0-{}",
                host.cpuset_cpus,
                cpus.saturating_sub(1)
            ));
        }
    }
    for limit in host.ulimits.iter().flatten() {
        if limit.hard >= 0 && (limit.soft > limit.hard || limit.soft == -1) {
            return invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                limit.soft, limit.hard
            ));
        }
    }
    Ok(())
}

fn modes(host: &mut HostConfig) -> Result<(), Error> {
    if host.network_mode.is_empty() || host.network_mode == "default" {
        host.network_mode = "bridge".into();
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode = "private".into();
    }
    if host.cgroupns_mode.is_empty() {
        host.cgroupns_mode = if host.privileged { "host" } else { "private" }.into();
    }
    let container = |mode: &str| {
        mode.strip_prefix("container:")
            .is_some_and(|n| !n.is_empty())
    };
    let ipc = host.ipc_mode.as_str();
    if !matches!(ipc, "private" | "shareable" | "host" | "none") && !container(ipc) {
        return invalid(format!("invalid IPC mode: {ipc}"));
    }
    if !matches!(host.pid_mode.as_str(), "" | "host") && !container(&host.pid_mode) {
        return invalid(format!("invalid PID mode: {}", host.pid_mode));
    }
    if !matches!(host.uts_mode.as_str(), "" | "host") {
        return invalid(format!("invalid UTS mode: {}", host.uts_mode));
    }
    if !matches!(host.cgroupns_mode.as_str(), "private" | "host") {
        return invalid(format!(
            "invalid cgroup namespace mode: {}",
            host.cgroupns_mode
        ));
    }
    if !matches!(host.isolation.as_str(), "" | "default") {
        return invalid(format!("invalid isolation '{}' on linux", host.isolation));
    }
    if host.network_mode == "host" && host.links.iter().flatten().next().is_some() {
        return invalid("conflicting options: host type networking can't be used with links");
    }
    Ok(())
}

fn log_config(host: &mut HostConfig) -> Result<(), Error> {
    if host.log_config.driver.is_empty() {
        host.log_config.driver = "json-file".into();
    }
    match host.log_config.driver.as_str() {
        "json-file" | "local" => {
            for (key, value) in &host.log_config.config {
                let good = match key.as_str() {
                    "max-size" => parse_size(value).is_some(),
                    "max-file" => value.parse::<u32>().is_ok_and(|n| n > 0),
                    "compress" => value.parse::<bool>().is_ok(),
                    "labels" | "labels-regex" | "env" | "env-regex" | "tag" | "mode"
                    | "max-buffer-size" => true,
                    _ => {
                        return invalid(format!(
                            "unknown log opt '{key}' for {} log driver",
                            host.log_config.driver
                        ));
                    }
                };
                if !good {
                    return invalid(format!("invalid value for log opt '{key}': {value}"));
                }
            }
            Ok(())
        }
        "none" => Ok(()),
        driver => invalid(format!(
            "logger: no log driver named '{driver}' is registered"
        )),
    }
}

/// What Slipway has not learned yet, refused rather than ignored.
fn not_supported(host: &HostConfig) -> Result<(), Error> {
    let refuse = |what: &str| {
        Err(Error::NotSupported(format!(
            "{what} is not supported by Slipway {} yet",
            crate::VERSION
        )))
    };
    if host.volumes_from.iter().flatten().next().is_some() {
        return refuse("--volumes-from");
    }
    if host.links.iter().flatten().next().is_some() {
        return refuse("--link");
    }
    if host.devices.iter().flatten().next().is_some() {
        return refuse("--device");
    }
    if host.device_requests.iter().flatten().next().is_some() {
        return Err(Error::Invalid(
            "could not select device driver \"\" with capabilities: [[gpu]]".into(),
        ));
    }
    if !host.storage_opt.is_empty() {
        return refuse("--storage-opt");
    }
    if !matches!(host.runtime.as_str(), "" | "runc" | "slipway") {
        return invalid(format!("unknown or invalid runtime name: {}", host.runtime));
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
    use super::*;

    fn refused(change: impl Fn(&mut HostConfig)) -> String {
        let mut host = HostConfig::default();
        change(&mut host);
        host_config(&mut host, 2).unwrap_err().to_string()
    }

    #[test]
    fn says_what_dockerd_says() {
        assert_eq!(
            refused(|h| h.memory = 1024),
            "Minimum memory limit allowed is 6MB"
        );
        assert_eq!(
            refused(|h| h.nano_cpus = 3_000_000_000),
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"
        );
        assert_eq!(
            refused(|h| h.pid_mode = "foo".into()),
            "invalid PID mode: foo"
        );
        assert_eq!(
            refused(|h| h.restart_policy.name = "maybe".into()),
            "invalid restart policy: unknown policy 'maybe'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        );
        assert_eq!(
            refused(|h| h.cpuset_cpus = "5".into()),
            "Requested CPUs are not available - requested 5, available: 0-1"
        );
    }

    #[test]
    fn fills_in_defaults() {
        let mut host = HostConfig {
            network_mode: "default".into(),
            ..HostConfig::default()
        };
        assert!(host_config(&mut host, 2).unwrap().is_empty());
        assert_eq!(host.network_mode, "bridge");
        assert_eq!(host.shm_size, 67_108_864);
        assert_eq!(host.ipc_mode, "private");
        assert_eq!(host.restart_policy.name, "no");
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
