//! Docker's resource settings as values of cgroup v2 files.

use std::path::Path;

use super::Cgroup;
use crate::error::Error;
use crate::spec::{DeviceLimit, Resources};

/// Which settings the kernel can enforce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named for its file")]
pub struct Supported {
    pub memory: bool,
    pub memory_low: bool,
    pub swap: bool,
    pub cpu_weight: bool,
    pub cpu_max: bool,
    pub cpuset: bool,
    pub pids: bool,
    pub io_weight: bool,
    pub io_max: bool,
}

impl Supported {
    /// Looks at the files of a cgroup that is not the root.
    pub(super) fn look(directory: &Path) -> Self {
        let has = |name: &str| directory.join(name).exists();
        Self {
            memory: has("memory.max"),
            memory_low: has("memory.low"),
            swap: has("memory.swap.max"),
            cpu_weight: has("cpu.weight"),
            cpu_max: has("cpu.max"),
            cpuset: has("cpuset.cpus"),
            pids: has("pids.max"),
            io_weight: has("io.weight") || has("io.bfq.weight"),
            io_max: has("io.max"),
        }
    }
}

/// Writes what is set; a controller that is missing gives a warning, a value that the kernel
/// refuses an error.
pub(super) fn write(cgroup: &Cgroup, resources: &Resources) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    for (file, value) in values(resources) {
        if cgroup.path.join(file).exists() {
            cgroup.write(file, &value)?;
        } else {
            warnings.push(format!(
                "Your kernel does not support {file}. The limit is discarded."
            ));
        }
    }
    // BFQ has a file and a range of its own.
    let bfq = cgroup.path.join("io.bfq.weight").exists();
    let file = if bfq { "io.bfq.weight" } else { "io.weight" };
    for value in weights(resources, bfq) {
        if cgroup.path.join(file).exists() {
            cgroup.write(file, &value)?;
        } else {
            warnings.push(
                "Your kernel does not support Block I/O weight. The weight is discarded.".into(),
            );
        }
    }
    Ok(warnings)
}

/// Lines for the file with the weights.
fn weights(resources: &Resources, bfq: bool) -> Vec<String> {
    let scaled = |weight: u16| {
        if bfq {
            u64::from(weight)
        } else {
            io_weight(weight)
        }
    };
    let own = resources.blkio_weight.filter(|weight| *weight > 0);
    let devices = resources.blkio_weight_devices.iter();
    own.map(|weight| scaled(weight).to_string())
        .into_iter()
        .chain(devices.map(|device| {
            let weight = scaled(device.weight);
            format!("{}:{} {weight}", device.major, device.minor)
        }))
        .collect()
}

/// A line for `io.max`; what is not set is left as it is.
fn io_max(limit: &DeviceLimit) -> String {
    let mut line = format!("{}:{}", limit.major, limit.minor);
    for (key, value) in [
        ("rbps", limit.read_bps),
        ("wbps", limit.write_bps),
        ("riops", limit.read_iops),
        ("wiops", limit.write_iops),
    ] {
        match value {
            Some(0) => line.push_str(&format!(" {key}=max")),
            Some(value) => line.push_str(&format!(" {key}={value}")),
            None => {}
        }
    }
    line
}

/// File names and values, in the order in which they are written.
fn values(resources: &Resources) -> Vec<(&'static str, String)> {
    let mut values = Vec::new();
    let mut set = |file, value: String| values.push((file, value));
    if let Some(memory) = resources.memory.filter(|memory| *memory > 0) {
        set("memory.max", memory.to_string());
    }
    if let Some(swap) = swap(resources) {
        set("memory.swap.max", swap);
    }
    if let Some(low) = resources.memory_reservation.filter(|low| *low > 0) {
        set("memory.low", low.to_string());
    }
    if let Some(shares) = resources.cpu_shares.filter(|shares| *shares > 0) {
        set("cpu.weight", cpu_weight(shares).to_string());
    }
    // A negative quota takes an earlier one away.
    let quota = resources.cpu_quota.filter(|quota| *quota != 0);
    let period = resources.cpu_period.filter(|period| *period > 0);
    if quota.is_some() || period.is_some() {
        let quota = match quota {
            Some(quota) if quota > 0 => quota.to_string(),
            _ => "max".to_owned(),
        };
        set("cpu.max", format!("{quota} {}", period.unwrap_or(100_000)));
    }
    for (file, list) in [
        ("cpuset.cpus", &resources.cpuset_cpus),
        ("cpuset.mems", &resources.cpuset_mems),
    ] {
        if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
            set(file, list.clone());
        }
    }
    if let Some(pids) = resources.pids {
        let pids = if pids > 0 {
            pids.to_string()
        } else {
            "max".into()
        };
        set("pids.max", pids);
    }
    for limit in &resources.blkio_limits {
        set("io.max", io_max(limit));
    }
    values
}

/// Docker's value is memory and swap together; without one, swap is as large as memory.
fn swap(resources: &Resources) -> Option<String> {
    let memory = resources.memory.filter(|memory| *memory > 0);
    match (resources.memory_swap, memory) {
        (Some(-1), _) => Some("max".into()),
        (Some(total), Some(memory)) if total > 0 => {
            Some((total as u64).saturating_sub(memory).to_string())
        }
        (_, Some(memory)) => Some(memory.to_string()),
        _ => None,
    }
}

/// Shares 2..262144 (1024 the default) to weight 1..10000 (100 the default), by the curve that
/// runc and crun use since 2025: default maps to default.
fn cpu_weight(shares: u64) -> u64 {
    if shares >= 262_144 {
        return 10_000;
    }
    if shares <= 2 {
        return 1;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    10f64.powf(exponent).ceil() as u64
}

/// Weight 10..1000 to 1..10000, linearly as runc does.
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).max(10) - 10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::DeviceWeight;

    #[test]
    fn docker_values_become_v2_values() {
        let resources = Resources {
            memory: Some(64 << 20),
            cpu_quota: Some(50_000),
            cpu_shares: Some(1024),
            pids: Some(-1),
            blkio_weight: Some(1000),
            blkio_weight_devices: vec![DeviceWeight {
                major: 8,
                minor: 16,
                weight: 10,
            }],
            blkio_limits: vec![DeviceLimit {
                major: 8,
                write_bps: Some(1 << 20),
                read_iops: Some(0),
                ..DeviceLimit::default()
            }],
            ..Resources::default()
        };
        assert_eq!(
            values(&resources),
            [
                ("memory.max", "67108864".to_owned()),
                ("memory.swap.max", "67108864".to_owned()),
                ("cpu.weight", "100".to_owned()),
                ("cpu.max", "50000 100000".to_owned()),
                ("pids.max", "max".to_owned()),
                ("io.max", "8:0 wbps=1048576 riops=max".to_owned()),
            ]
        );
        assert_eq!(weights(&resources, false), ["10000", "8:16 1"]);
        assert_eq!(weights(&resources, true), ["1000", "8:16 10"]);
        let lifted = Resources {
            cpu_quota: Some(-1),
            ..Resources::default()
        };
        assert_eq!(values(&lifted), [("cpu.max", "max 100000".to_owned())]);
    }

    #[test]
    fn swap_is_what_is_left_of_the_total() {
        let resources = |memory_swap| Resources {
            memory: Some(100),
            memory_swap,
            ..Resources::default()
        };
        assert_eq!(swap(&resources(Some(250))).as_deref(), Some("150"));
        assert_eq!(swap(&resources(Some(100))).as_deref(), Some("0"));
        assert_eq!(swap(&resources(Some(-1))).as_deref(), Some("max"));
        assert_eq!(swap(&Resources::default()), None);
        assert_eq!((cpu_weight(2), cpu_weight(262_144)), (1, 10_000));
    }
}
