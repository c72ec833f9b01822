//! Docker's resource settings as values of cgroup v2 files.

use super::Cgroup;
use crate::error::Error;
use crate::spec::Resources;

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
    Ok(warnings)
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
    let quota = resources.cpu_quota.filter(|quota| *quota > 0);
    let period = resources.cpu_period.filter(|period| *period > 0);
    if quota.is_some() || period.is_some() {
        let quota = quota.map_or_else(|| "max".to_owned(), |quota| quota.to_string());
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
    if let Some(weight) = resources.blkio_weight.filter(|weight| *weight > 0) {
        set("io.weight", io_weight(weight).to_string());
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

    #[test]
    fn docker_values_become_v2_values() {
        let resources = Resources {
            memory: Some(64 << 20),
            cpu_quota: Some(50_000),
            cpu_shares: Some(1024),
            pids: Some(-1),
            blkio_weight: Some(1000),
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
                ("io.weight", "10000".to_owned()),
            ]
        );
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
