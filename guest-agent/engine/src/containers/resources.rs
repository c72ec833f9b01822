//! Limits on memory, processors, processes and disks: Docker's checks and warnings, and what the
//! kernel is told.

use std::os::linux::fs::MetadataExt;

use runtime::cgroup::Supported;
use runtime::spec::{DeviceLimit, DeviceWeight, Resources};
use rustix::fs::{major, minor};

use super::{HostConfig, ThrottleDevice};
use crate::Error;

const SIX_MEGABYTES: i64 = 6 * 1024 * 1024;

/// What the machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Number of processors.
    pub(crate) cpus: usize,
    /// Limits that the kernel can enforce.
    pub(crate) supported: Supported,
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(message.into()))
}

/// Checks the resources of a create or an update, in dockerd's order and words. What the kernel
/// can't enforce is taken out, with a warning.
pub(crate) fn check(
    host: &mut HostConfig,
    machine: &Machine,
    update: bool,
) -> Result<Vec<String>, Error> {
    check_decoded(host)?;
    let mut warnings = Vec::new();
    memory(host, machine, update, &mut warnings)?;
    processes(host, machine, &mut warnings);
    processors(host, machine, &mut warnings)?;
    disks(host, machine, &mut warnings)?;
    Ok(warnings)
}

/// What Docker refuses of them while it reads the request.
pub(crate) fn check_decoded(host: &HostConfig) -> Result<(), Error> {
    for (value, what) in [
        (host.io_maximum_bandwidth, "bandwidth"),
        (host.io_maximum_iops, "IOPs"),
    ] {
        if value != 0 {
            return invalid(format!(
                "invalid option: QoS maximum {what} configuration is not supported on linux"
            ));
        }
    }
    if host.cpu_realtime_period != 0 || host.cpu_realtime_runtime != 0 {
        // The controller has no such files in cgroup v2, whatever the kernel.
        return invalid(
            "kernel does not support CPU real-time scheduler: cgroup v2 has no real-time period and runtime; leave out --cpu-rt-period and --cpu-rt-runtime",
        );
    }
    if host.cpu_shares < 0 {
        return invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            host.cpu_shares
        ));
    }
    Ok(())
}

fn memory(
    host: &mut HostConfig,
    machine: &Machine,
    update: bool,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let supported = machine.supported;
    if host.memory_swappiness == Some(-1) {
        host.memory_swappiness = None;
    }
    if host.memory != 0 && host.memory < SIX_MEGABYTES {
        return invalid("Minimum memory limit allowed is 6MB");
    }
    if host.memory > 0 && !supported.memory {
        warnings.push("Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.".into());
        host.memory = 0;
        host.memory_swap = -1;
    }
    if host.memory > 0 && host.memory_swap != -1 && !supported.swap {
        warnings.push("Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.".into());
        host.memory_swap = -1;
    }
    if host.memory > 0 && host.memory_swap > 0 && host.memory_swap < host.memory {
        return invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if host.memory == 0 && host.memory_swap > 0 && !update {
        return invalid(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    // cgroup v2 has no swappiness of a group and no switch for the killer.
    if host.memory_swappiness.take().is_some() {
        warnings.push("Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.".into());
    }
    if host.memory_reservation > 0 && !supported.memory_low {
        warnings.push("Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.".into());
        host.memory_reservation = 0;
    }
    if host.memory_reservation > 0 && host.memory_reservation < SIX_MEGABYTES {
        return invalid("Minimum memory reservation allowed is 6MB");
    }
    if host.memory > 0 && host.memory_reservation > host.memory {
        return invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    // Nor has it a limit of the kernel's memory alone.
    if std::mem::take(&mut host.kernel_memory) > 0 {
        warnings.push("Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.".into());
    }
    if host.oom_kill_disable.take() == Some(true) {
        warnings
            .push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".into());
    }
    Ok(())
}

fn processes(host: &mut HostConfig, machine: &Machine, warnings: &mut Vec<String>) {
    if machine.supported.pids {
        return;
    }
    if host.pids_limit.take().is_some_and(|limit| limit > 0) {
        warnings.push("Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.".into());
    }
}

fn processors(
    host: &mut HostConfig,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let supported = machine.supported;
    let cpus = machine.cpus;
    if host.nano_cpus > 0 && host.cpu_period > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if host.nano_cpus > 0 && host.cpu_quota > 0 {
        return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    if host.nano_cpus > 0 && !supported.cpu_max {
        return invalid(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
        );
    }
    let most = i64::try_from(cpus)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000_000);
    if host.nano_cpus < 0 || host.nano_cpus > most {
        return invalid(format!(
            "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        ));
    }
    if host.cpu_shares > 0 && !supported.cpu_weight {
        warnings.push(
            "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded."
                .into(),
        );
        host.cpu_shares = 0;
    }
    if (host.cpu_period != 0 || host.cpu_quota != 0) && !supported.cpu_max {
        warnings.push(
            "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.".into(),
        );
        host.cpu_period = 0;
        host.cpu_quota = 0;
    }
    if host.cpu_period != 0 && !(1000..=1_000_000).contains(&host.cpu_period) {
        return invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if host.cpu_quota > 0 && host.cpu_quota < 1000 {
        return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if host.cpu_percent > 0 {
        warnings.push("linux does not support CPU percent. Percent discarded.".into());
        host.cpu_percent = 0;
    }
    cpuset(host, machine, warnings)
}

fn cpuset(
    host: &mut HostConfig,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    if (!host.cpuset_cpus.is_empty() || !host.cpuset_mems.is_empty()) && !machine.supported.cpuset {
        warnings.push(
            "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded."
                .into(),
        );
        host.cpuset_cpus.clear();
        host.cpuset_mems.clear();
    }
    let range = |count: usize| match count.saturating_sub(1) {
        0 => "0".to_owned(),
        last => format!("0-{last}"),
    };
    let nodes = memory_nodes();
    for (list, count, what, noun) in [
        (&host.cpuset_cpus, machine.cpus, "cpuset cpus", "CPUs"),
        (&host.cpuset_mems, nodes, "cpuset mems", "memory nodes"),
    ] {
        let Some(highest) = highest(list) else {
            return invalid(format!(
                "Invalid value {list} for {what}: invalid format: {list}"
            ));
        };
        if highest >= count {
            return invalid(format!(
                "Requested {noun} are not available - requested {list}, available: {}",
                range(count)
            ));
        }
    }
    Ok(())
}

/// The highest number of a list such as `0-2,7`; 0 of an empty one, nothing of a bad one.
fn highest(list: &str) -> Option<usize> {
    if list.is_empty() {
        return Some(0);
    }
    let number = |text: &str| text.trim().parse::<usize>().ok();
    list.split(',')
        .map(|part| match part.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                (from <= to).then_some(to)
            }
            None => number(part),
        })
        .try_fold(0, |highest, one| Some(highest.max(one?)))
}

/// How many memory nodes the machine has; a kernel without NUMA has one.
fn memory_nodes() -> usize {
    std::fs::read_to_string("/sys/devices/system/node/online")
        .ok()
        .and_then(|text| highest(text.trim()))
        .map_or(1, |last| last + 1)
}

fn disks(
    host: &mut HostConfig,
    machine: &Machine,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let supported = machine.supported;
    if host.blkio_weight > 0 && !supported.io_weight {
        warnings.push("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.".into());
        host.blkio_weight = 0;
    }
    if host.blkio_weight > 0 && !(10..=1000).contains(&host.blkio_weight) {
        return invalid("Range of blkio weight is from 10 to 1000");
    }
    let is_set = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let weights = host.blkio_weight_device.iter().flatten();
    if weights.clone().next().is_some() && !supported.io_weight {
        warnings.push("Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.".into());
        host.blkio_weight_device = Some(Vec::new());
    } else if let Some(bad) = weights
        .into_iter()
        .find(|w| !(10..=1000).contains(&w.weight))
    {
        return invalid(format!(
            "invalid weight for device: {}:{}: the range of blkio weight is from 10 to 1000",
            bad.path, bad.weight
        ));
    }
    for (list, warning) in [
        (
            &mut host.blkio_device_read_bps,
            "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.",
        ),
        (
            &mut host.blkio_device_write_bps,
            "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded.",
        ),
        (
            &mut host.blkio_device_read_iops,
            "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
        ),
        (
            &mut host.blkio_device_write_iops,
            "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.",
        ),
    ] {
        if is_set(list) && !supported.io_max {
            warnings.push(warning.into());
            *list = Some(Vec::new());
        }
    }
    Ok(())
}

/// What the kernel is told. Blocks: it looks at the nodes of devices.
pub(crate) fn for_kernel(host: &HostConfig) -> Result<Resources, Error> {
    let positive = |value: i64| u64::try_from(value).ok().filter(|v| *v > 0);
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let (quota, period) = if host.nano_cpus > 0 {
        (Some(host.nano_cpus / 10_000), Some(100_000))
    } else {
        (
            (host.cpu_quota != 0).then_some(host.cpu_quota),
            positive(host.cpu_period),
        )
    };
    let mut weights = Vec::new();
    for device in host.blkio_weight_device.iter().flatten() {
        let (major, minor) = numbers(&device.path)?;
        weights.push(DeviceWeight {
            major,
            minor,
            weight: device.weight,
        });
    }
    Ok(Resources {
        memory: positive(host.memory),
        memory_reservation: positive(host.memory_reservation),
        memory_swap: (host.memory_swap != 0).then_some(host.memory_swap),
        cpu_shares: positive(host.cpu_shares),
        cpu_quota: quota,
        cpu_period: period,
        cpuset_cpus: text(&host.cpuset_cpus),
        cpuset_mems: text(&host.cpuset_mems),
        pids: host.pids_limit,
        blkio_weight: (host.blkio_weight > 0).then_some(host.blkio_weight),
        blkio_weight_devices: weights,
        blkio_limits: limits(host)?,
    })
}

fn limits(host: &HostConfig) -> Result<Vec<DeviceLimit>, Error> {
    type Field = fn(&mut DeviceLimit) -> &mut Option<u64>;
    let lists: [(&Option<Vec<ThrottleDevice>>, Field); 4] = [
        (&host.blkio_device_read_bps, |limit| &mut limit.read_bps),
        (&host.blkio_device_write_bps, |limit| &mut limit.write_bps),
        (&host.blkio_device_read_iops, |limit| &mut limit.read_iops),
        (&host.blkio_device_write_iops, |limit| &mut limit.write_iops),
    ];
    let mut limits: Vec<DeviceLimit> = Vec::new();
    for (list, field) in lists {
        for device in list.iter().flatten() {
            let (major, minor) = numbers(&device.path)?;
            let at = limits
                .iter()
                .position(|limit| (limit.major, limit.minor) == (major, minor));
            let at = at.unwrap_or_else(|| {
                limits.push(DeviceLimit {
                    major,
                    minor,
                    ..DeviceLimit::default()
                });
                limits.len() - 1
            });
            *field(&mut limits[at]) = Some(device.rate);
        }
    }
    Ok(limits)
}

/// The numbers of the device that a node is for.
fn numbers(path: &str) -> Result<(u32, u32), Error> {
    let stat = std::fs::metadata(path).map_err(|error| {
        Error::System(format!("stat {path}: {}", crate::error::go_text(&error)))
    })?;
    Ok((major(stat.st_rdev()), minor(stat.st_rdev())))
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    pub(in super::super) const ALL: Supported = Supported {
        memory: true,
        memory_low: true,
        swap: true,
        cpu_weight: true,
        cpu_max: true,
        cpuset: true,
        pids: true,
        io_weight: true,
        io_max: true,
    };

    fn checked(
        supported: Supported,
        change: impl Fn(&mut HostConfig),
    ) -> Result<(HostConfig, Vec<String>), String> {
        let mut host = HostConfig::default();
        change(&mut host);
        let machine = Machine { cpus: 2, supported };
        let warnings = check(&mut host, &machine, false).map_err(|e| e.to_string())?;
        Ok((host, warnings))
    }

    #[test]
    fn wrong_values_are_refused_in_dockers_words() {
        type Change = fn(&mut HostConfig);
        let table: [(Change, &str); 16] = [
            (|h| h.memory = 1024, "Minimum memory limit allowed is 6MB"),
            (|h| h.memory = -1, "Minimum memory limit allowed is 6MB"),
            (
                |h| (h.memory, h.memory_swap) = (8 << 20, 7 << 20),
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (
                |h| h.memory_swap = 1,
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (
                |h| h.memory_reservation = 1,
                "Minimum memory reservation allowed is 6MB",
            ),
            (
                |h| (h.memory, h.memory_reservation) = (8 << 20, 9 << 20),
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
            (
                |h| h.nano_cpus = 3_000_000_000,
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (
                |h| (h.nano_cpus, h.cpu_period) = (1, 1),
                "Conflicting options: Nano CPUs and CPU Period cannot both be set",
            ),
            (
                |h| (h.nano_cpus, h.cpu_quota) = (1, 1),
                "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
            ),
            (
                |h| h.cpu_shares = -5,
                "invalid CPU shares (-5): value must be a positive integer",
            ),
            (
                |h| h.cpu_period = 999,
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            ),
            (
                |h| h.cpu_quota = 999,
                "CPU cfs quota can not be less than 1ms (i.e. 1000)",
            ),
            (
                |h| h.cpuset_cpus = "1-5".into(),
                "Requested CPUs are not available - requested 1-5, available: 0-1",
            ),
            (
                |h| h.cpuset_cpus = "one".into(),
                "Invalid value one for cpuset cpus: invalid format: one",
            ),
            (
                |h| h.blkio_weight = 9,
                "Range of blkio weight is from 10 to 1000",
            ),
            (
                |h| h.io_maximum_iops = 9,
                "invalid option: QoS maximum IOPs configuration is not supported on linux",
            ),
        ];
        for (change, message) in table {
            assert_eq!(checked(ALL, change).unwrap_err(), message);
        }
    }

    #[test]
    fn what_the_kernel_lacks_is_discarded_with_dockers_warning() {
        let (host, warnings) = checked(Supported::default(), |h| {
            h.memory = 64 << 20;
            h.memory_swap = 128 << 20;
            h.memory_swappiness = Some(10);
            h.oom_kill_disable = Some(true);
            h.pids_limit = Some(7);
            h.cpu_shares = 512;
            h.cpu_quota = 5000;
            h.cpuset_cpus = "0".into();
            h.blkio_weight = 100;
        })
        .unwrap();
        assert_eq!((host.memory, host.memory_swap), (0, -1));
        assert_eq!((host.pids_limit, host.cpu_shares), (None, 0));
        assert_eq!(
            (host.oom_kill_disable, host.memory_swappiness),
            (None, None)
        );
        let said: Vec<&str> = warnings
            .iter()
            .map(|warning| warning.split(['.', ',']).next().unwrap_or_default())
            .collect();
        assert_eq!(
            said,
            [
                "Your kernel does not support memory limit capabilities or the cgroup is not mounted",
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted",
                "Your kernel does not support OomKillDisable",
                "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted",
                "Your kernel does not support CPU shares or the cgroup is not mounted",
                "Your kernel does not support CPU CFS scheduler",
                "Your kernel does not support cpuset or the cgroup is not mounted",
                "Your kernel does not support Block I/O weight or the cgroup is not mounted",
            ]
        );
        let cpus = checked(Supported::default(), |h| h.nano_cpus = 5).unwrap_err();
        assert!(cpus.starts_with("NanoCPUs can not be set"), "{cpus}");
        // On cgroup v2 these two are never there.
        let (_, warnings) = checked(ALL, |h| h.memory_swappiness = Some(-1)).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn limits_of_one_device_become_one_line() {
        let throttle = |rate| {
            Some(vec![ThrottleDevice {
                path: "/dev/null".into(),
                rate,
            }])
        };
        let mut host = HostConfig {
            blkio_device_read_bps: throttle(7),
            blkio_device_write_iops: throttle(9),
            ..HostConfig::default()
        };
        let resources = for_kernel(&host).unwrap();
        assert_eq!(
            resources.blkio_limits,
            [DeviceLimit {
                major: 1,
                minor: 3,
                read_bps: Some(7),
                write_iops: Some(9),
                ..DeviceLimit::default()
            }]
        );
        host.blkio_device_read_bps = Some(vec![ThrottleDevice {
            path: "/dev/nope".into(),
            rate: 1,
        }]);
        assert_eq!(
            for_kernel(&host).unwrap_err().to_string(),
            "stat /dev/nope: no such file or directory"
        );
    }
}
