//! From a container's record to what the warden starts.

use std::path::{Path, PathBuf};

use runtime::spec::{
    ContainerSpec, LogSpec, Mount, Namespace, Namespaces, Process, Resources, Rlimit, Root, Seccomp,
};

use super::{Record, capabilities, env, validate};
use crate::Error;

/// Docker's masked paths.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Docker's read-only paths.
const READONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What the options in `SecurityOpt` ask for.
#[derive(Debug, PartialEq)]
pub(crate) struct Security {
    /// System call filter.
    pub(crate) seccomp: Seccomp,
    /// `no-new-privileges`.
    pub(crate) no_new_privileges: bool,
    /// `systempaths=unconfined`.
    pub(crate) system_paths_open: bool,
}

/// Reads `--security-opt`.
pub(crate) fn security(record: &Record) -> Result<Security, Error> {
    let host = &record.host_config;
    let mut security = Security {
        seccomp: if host.privileged {
            Seccomp::Unconfined
        } else {
            Seccomp::Default
        },
        no_new_privileges: false,
        system_paths_open: false,
    };
    for option in host.security_opt.iter().flatten() {
        let (key, value) = option
            .split_once('=')
            .or_else(|| option.split_once(':'))
            .unwrap_or((option, ""));
        match (key, value) {
            ("no-new-privileges", "") => security.no_new_privileges = true,
            ("no-new-privileges", value) => {
                security.no_new_privileges = value.parse().map_err(|_| {
                    Error::Invalid(format!("invalid --security-opt 2: \"{option}\""))
                })?;
            }
            ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
            ("seccomp", "" | "builtin") => {}
            ("seccomp", profile) => security.seccomp = Seccomp::Profile(profile.to_owned()),
            ("systempaths", "unconfined") => security.system_paths_open = true,
            // There is no AppArmor and no SELinux in the machine: nothing to switch off.
            ("apparmor" | "label" | "writable-cgroups", _) => {}
            _ => {
                return Err(Error::Invalid(format!(
                    "invalid --security-opt 2: \"{option}\""
                )));
            }
        }
    }
    Ok(security)
}

/// What the spec needs besides the record.
pub(crate) struct Surroundings {
    /// The container's directory.
    pub(crate) dir: PathBuf,
    /// Image layers, topmost first.
    pub(crate) layers: Vec<PathBuf>,
    /// All mounts, in order.
    pub(crate) mounts: Vec<Mount>,
    /// Network namespace.
    pub(crate) net: Namespace,
    /// Process id namespace.
    pub(crate) pid: Namespace,
    /// IPC namespace.
    pub(crate) ipc: Namespace,
    /// Number of processors.
    pub(crate) cpus: usize,
}

/// The spec of a container's start.
pub(crate) fn build(record: &Record, around: Surroundings) -> Result<ContainerSpec, Error> {
    let host = &record.host_config;
    let security = security(record)?;
    let open = host.privileged || security.system_paths_open;
    let list = |default: &[&str], own: &Option<Vec<String>>| match own {
        _ if open => Vec::new(),
        Some(own) => own.clone(),
        None => default.iter().map(|&p| p.to_owned()).collect(),
    };
    let mut masked = list(MASKED, &host.masked_paths);
    if !open && host.masked_paths.is_none() {
        masked.extend(
            (0..around.cpus).map(|n| format!("/sys/devices/system/cpu/cpu{n}/thermal_throttle")),
        );
    }
    let mode = |value: &str, new: Namespace| {
        if value == "host" {
            Namespace::Host
        } else {
            new
        }
    };
    Ok(ContainerSpec {
        id: record.id.clone(),
        root: Root {
            lower: around.layers,
            upper: around.dir.join("upper"),
            work: around.dir.join("work"),
            mountpoint: around.dir.join("rootfs"),
            readonly: host.readonly_rootfs,
        },
        hostname: record.config.hostname.clone(),
        domainname: record.config.domainname.clone(),
        process: first_process(record, &security)?,
        mounts: around.mounts,
        namespaces: Namespaces {
            net: around.net,
            pid: around.pid,
            ipc: around.ipc,
            uts: mode(&host.uts_mode, Namespace::New),
            cgroup: mode(&host.cgroupns_mode, Namespace::New),
        },
        cgroup: Path::new("slipway").join(&record.id),
        resources: resources(record),
        masked_paths: masked,
        readonly_paths: list(READONLY, &host.readonly_paths),
        sysctls: host.sysctls.clone(),
        shm_size: u64::try_from(host.shm_size).unwrap_or(0),
        privileged: host.privileged,
        log: log(record, &around.dir),
    })
}

fn first_process(record: &Record, security: &Security) -> Result<Process, Error> {
    let host = &record.host_config;
    let config = &record.config;
    Ok(Process {
        args: config.command(),
        env: env::environment(&record.id, config, host, config.tty),
        cwd: cwd(&config.working_dir),
        user: config.user.clone(),
        additional_groups: host.group_add.clone().unwrap_or_default(),
        tty: config.tty,
        console_size: match host.console_size {
            [0, _] | [_, 0] => None,
            [rows, cols] => Some((
                u16::try_from(rows).unwrap_or(u16::MAX),
                u16::try_from(cols).unwrap_or(u16::MAX),
            )),
        },
        capabilities: container_capabilities(record)?,
        no_new_privileges: security.no_new_privileges,
        oom_score_adj: host.oom_score_adj,
        rlimits: rlimits(record),
        seccomp: security.seccomp.clone(),
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
    })
}

/// The working directory, `/` when none is configured.
pub(crate) fn cwd(configured: &str) -> String {
    if configured.is_empty() {
        "/".into()
    } else {
        configured.into()
    }
}

/// The capabilities of the container's processes.
pub(crate) fn container_capabilities(record: &Record) -> Result<Vec<String>, Error> {
    let host = &record.host_config;
    let add = capabilities::normalise(host.cap_add.as_deref().unwrap_or_default(), "CapAdd")?;
    let drop = capabilities::normalise(host.cap_drop.as_deref().unwrap_or_default(), "CapDrop")?;
    Ok(capabilities::effective(&add, &drop, host.privileged))
}

/// The resource limits of the container's processes.
pub(crate) fn rlimits(record: &Record) -> Vec<Rlimit> {
    record
        .host_config
        .ulimits
        .iter()
        .flatten()
        .map(|limit| Rlimit {
            name: limit.name.clone(),
            // -1 is unlimited, and so is u64::MAX.
            soft: u64::try_from(limit.soft).unwrap_or(u64::MAX),
            hard: u64::try_from(limit.hard).unwrap_or(u64::MAX),
        })
        .collect()
}

fn resources(record: &Record) -> Resources {
    let host = &record.host_config;
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
    Resources {
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
    }
}

fn log(record: &Record, dir: &Path) -> LogSpec {
    let config = &record.host_config.log_config;
    LogSpec {
        path: (config.driver != "none").then(|| dir.join(format!("{}-json.log", record.id))),
        max_size: config
            .config
            .get("max-size")
            .and_then(|size| validate::parse_size(size)),
        max_files: config
            .config
            .get("max-file")
            .and_then(|n| n.parse().ok())
            .unwrap_or(1),
    }
}
