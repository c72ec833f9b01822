//! `docker stats`: what a container uses, from its cgroup and from its network interfaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime::cgroup::Counters;

use super::{Container, State, spec};
use crate::time::Time;
use crate::{Engine, Error, blocking, system};

/// The figures of one container at one instant.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Id.
    pub id: String,
    /// Name, without a slash.
    pub name: String,
    /// When they were read.
    pub read: Time,
    /// What it uses; nothing when it doesn't run.
    pub usage: Option<Usage>,
}

/// What a container that runs uses.
#[derive(Debug, Clone)]
pub struct Usage {
    /// From its cgroup.
    pub counters: Counters,
    /// Nanoseconds that all processors have spent in all.
    pub system_cpu: u64,
    /// Number of processors.
    pub cpus: u64,
    /// Memory of the machine in bytes.
    pub machine_memory: u64,
    /// By interface; empty where the network is not its own.
    pub networks: BTreeMap<String, NetworkCounters>,
}

/// What went through one interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "Docker's own names")]
pub struct NetworkCounters {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

impl Engine {
    /// The present figures of a container.
    pub async fn container_stats(self: &Arc<Self>, name: &str) -> Result<Stats, Error> {
        let container = self.container(name)?;
        let engine = Arc::clone(self);
        blocking::run(move || Ok(engine.sample(&container))).await
    }

    fn sample(&self, container: &Container) -> Stats {
        let (name, state, no_network, cgroup) = {
            let inner = container.lock();
            let record = &inner.record;
            let no_network = record.is_cut_off() || record.host_config.network_mode == "host";
            (
                record.name.clone(),
                record.state,
                no_network,
                spec::cgroup(record),
            )
        };
        let usage = match state {
            State::Running { pid } | State::Paused { pid } => {
                // With a network of somebody else's it is theirs that counts, as with Docker.
                let networks = if no_network {
                    BTreeMap::new()
                } else {
                    interfaces(&read(&format!("/proc/{pid}/net/dev")))
                };
                let counters = self
                    .hierarchy()
                    .map(|hierarchy| hierarchy.existing(&cgroup).counters());
                Some(Usage {
                    counters: counters.unwrap_or_default(),
                    system_cpu: system_cpu(&read("/proc/stat")),
                    cpus: u64::try_from(system::cpus()).unwrap_or(1),
                    machine_memory: system::memory_bytes(),
                    networks,
                })
            }
            _ => None,
        };
        Stats {
            id: container.id.clone(),
            name,
            read: if usage.is_some() {
                Time::now()
            } else {
                Time::zero()
            },
            usage,
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The interfaces of `/proc/PID/net/dev` but the loopback one.
fn interfaces(text: &str) -> BTreeMap<String, NetworkCounters> {
    text.lines()
        .filter_map(|line| {
            let (name, numbers) = line.split_once(':')?;
            let name = name.trim();
            let numbers: Vec<u64> = numbers
                .split_whitespace()
                .filter_map(|number| number.parse().ok())
                .collect();
            let [
                rx_bytes,
                rx_packets,
                rx_errors,
                rx_dropped,
                _,
                _,
                _,
                _,
                tx_bytes,
                tx_packets,
                tx_errors,
                tx_dropped,
                ..,
            ] = numbers[..]
            else {
                return None;
            };
            let counters = NetworkCounters {
                rx_bytes,
                rx_packets,
                rx_errors,
                rx_dropped,
                tx_bytes,
                tx_packets,
                tx_errors,
                tx_dropped,
            };
            (name != "lo").then(|| (name.to_owned(), counters))
        })
        .collect()
}

/// Nanoseconds of all processors, idle ones included: seven of the fields of the first line of
/// `/proc/stat`, as Docker adds them up, each in hundredths of a second.
fn system_cpu(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "));
    line.unwrap_or_default()
        .split_whitespace()
        .take(7)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum::<u64>()
        .saturating_mul(10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
             lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  \
             eth0: 1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18\n";
        let found = interfaces(text);
        assert_eq!(found.len(), 1);
        let eth0 = found["eth0"];
        assert_eq!((eth0.rx_bytes, eth0.rx_dropped), (1, 4));
        assert_eq!((eth0.tx_bytes, eth0.tx_dropped), (11, 14));
        let cpu = system_cpu("cpu  1 2 3 4 5 6 7 800 900 0\ncpu0 1 2 3\n");
        assert_eq!(cpu, 280_000_000);
    }
}
