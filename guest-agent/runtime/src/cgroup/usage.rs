//! What a cgroup uses, from its files; what the kernel does not count is added up from the
//! processes in it.

use std::collections::BTreeMap;
use std::path::Path;

use super::Cgroup;

/// What a container uses at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Microseconds of processor time.
    pub cpu_usec: u64,
    /// Of these, in the container's own code.
    pub user_usec: u64,
    /// Of these, in the kernel.
    pub system_usec: u64,
    /// Periods in which a processor limit counted.
    pub periods: u64,
    /// Of these, how many ended early.
    pub throttled_periods: u64,
    /// Microseconds that were waited for this.
    pub throttled_usec: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// The limit; `None` without one.
    pub memory_limit: Option<u64>,
    /// `memory.stat`.
    pub memory_details: BTreeMap<String, u64>,
    /// How often the limit could not be kept without a kill.
    pub memory_failures: u64,
    /// Processes and threads.
    pub pids: u64,
    /// The limit; `None` without one.
    pub pids_limit: Option<u64>,
    /// What went to and from block devices.
    pub io: Vec<IoUsage>,
}

/// What went to and from one block device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoUsage {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
}

impl Cgroup {
    /// What it uses. What can't be read counts nothing: a number that is missing must not keep the
    /// others away.
    pub fn counters(&self) -> Counters {
        let text = |name: &str| std::fs::read_to_string(self.path.join(name)).ok();
        let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
        let cpu = keys(&text("cpu.stat").unwrap_or_default());
        let cpu = |key: &str| cpu.get(key).copied().unwrap_or(0);
        let memory = number("memory.current");
        let pids = number("pids.current");
        let (resident, threads) = match (memory, pids) {
            (Some(_), Some(_)) => (0, 0),
            _ => added_up(&self.path),
        };
        Counters {
            cpu_usec: cpu("usage_usec"),
            user_usec: cpu("user_usec"),
            system_usec: cpu("system_usec"),
            periods: cpu("nr_periods"),
            throttled_periods: cpu("nr_throttled"),
            throttled_usec: cpu("throttled_usec"),
            memory: memory.unwrap_or(resident),
            // The word `max` is no number, so it is no limit.
            memory_limit: number("memory.max"),
            memory_details: keys(&text("memory.stat").unwrap_or_default()),
            memory_failures: self.key("memory.events", "oom ").unwrap_or(0),
            pids: pids.unwrap_or(threads),
            pids_limit: number("pids.max"),
            io: text("io.stat").map(|text| io(&text)).unwrap_or_default(),
        }
    }
}

/// Lines of a name and a number.
fn keys(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

/// Lines such as `8:0 rbytes=90112 wbytes=0 rios=22 wios=0 dbytes=0 dios=0`.
fn io(text: &str) -> Vec<IoUsage> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (major, minor) = words.next()?.split_once(':')?;
            let mut usage = IoUsage {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
                ..IoUsage::default()
            };
            for word in words {
                match word.split_once('=') {
                    Some(("rbytes", value)) => usage.read_bytes = value.parse().ok()?,
                    Some(("wbytes", value)) => usage.written_bytes = value.parse().ok()?,
                    _ => {}
                }
            }
            Some(usage)
        })
        .collect()
}

/// Resident bytes and threads of all processes in a cgroup and below it.
fn added_up(directory: &Path) -> (u64, u64) {
    let mut sum = (0, 0);
    let processes = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    let page = rustix::param::page_size() as u64;
    for pid in processes.lines() {
        let file = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
        let field = |text: &str, at: usize| text.split_whitespace().nth(at)?.parse::<u64>().ok();
        let statm = file("statm").unwrap_or_default();
        sum.0 += field(&statm, 1).unwrap_or(0) * page;
        let stat = file("stat").unwrap_or_default();
        // Behind the name, which may hold anything: the 20th field is the number of threads.
        let threads = stat.rsplit_once(')').and_then(|(_, rest)| field(rest, 17));
        sum.1 += threads.unwrap_or(0);
    }
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let below = added_up(&entry.path());
            sum = (sum.0 + below.0, sum.1 + below.1);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn files_of_a_cgroup_become_counters() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "cpu.stat",
                "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_throttled 2\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 7\nfile 8\n"),
            ("memory.events", "oom_group_kill 9\noom 1\noom_kill 3\n"),
            ("pids.current", "5\n"),
            ("pids.max", "77\n"),
            ("io.stat", "8:16 rbytes=1 wbytes=2 rios=3 wios=4\n253:0 \n"),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let cgroup = Cgroup {
            path: directory.path().to_owned(),
        };
        let counters = cgroup.counters();
        assert_eq!(
            (counters.cpu_usec, counters.user_usec, counters.system_usec),
            (30, 20, 10)
        );
        assert_eq!((counters.throttled_periods, counters.periods), (2, 0));
        assert_eq!((counters.memory, counters.memory_limit), (4096, None));
        assert_eq!(counters.memory_details["file"], 8);
        assert_eq!(counters.memory_failures, 1);
        assert_eq!((counters.pids, counters.pids_limit), (5, Some(77)));
        assert_eq!(counters.io[0].written_bytes, 2);
        assert_eq!(counters.io.len(), 2);
    }

    #[test]
    fn without_controllers_processes_are_added_up() {
        let directory = tempfile::tempdir().unwrap();
        let own = format!("{}\n", std::process::id());
        std::fs::write(directory.path().join("cgroup.procs"), own).unwrap();
        let cgroup = Cgroup {
            path: directory.path().to_owned(),
        };
        let counters = cgroup.counters();
        assert!(counters.memory > 0 && counters.pids > 0, "{counters:?}");
    }
}
