//! From a container's record to what the warden starts.

use std::path::{Path, PathBuf};

use runtime::spec::{ContainerSpec, Mount, Namespace, Namespaces, Process, Rlimit, SharedMemory};

use super::security::{self, Security};
use super::{Record, capabilities, devices, env, init, logs, mounts, resources};
use crate::Error;

/// What the spec needs besides the record.
pub(crate) struct Surroundings {
    /// The container's directory.
    pub(crate) dir: PathBuf,
    /// All mounts, in order.
    pub(crate) mounts: Vec<Mount>,
    /// Network namespace.
    pub(crate) net: Namespace,
    /// Process id namespace.
    pub(crate) pid: Namespace,
    /// IPC namespace.
    pub(crate) ipc: Namespace,
    /// `/dev/shm`.
    pub(crate) shm: SharedMemory,
    /// Variables that tell of links.
    pub(crate) linked: Vec<String>,
}

/// The directory of all containers' cgroups, below the hierarchy's root.
pub(crate) const CGROUPS: &str = "slipway";

/// The cgroup of a container, below the hierarchy's root: in `--cgroup-parent`, or with all others.
pub(crate) fn cgroup(record: &Record) -> PathBuf {
    let parent = record.host_config.cgroup_parent.trim_start_matches('/');
    let parent = if parent.is_empty() { CGROUPS } else { parent };
    Path::new(parent).join(&record.id)
}

/// The spec of a container's start.
pub(crate) fn build(record: &Record, around: Surroundings) -> Result<ContainerSpec, Error> {
    let host = &record.host_config;
    logs::config::check(&host.log_config)?;
    mounts::check(&host.mounts)?;
    let security = security::read(host)?;
    let (devices, device_rules) = devices::plan(host)?;
    // A record of an engine that did not write the defaults down.
    let mut paths = host.clone();
    security::fill_in(&mut paths, crate::system::cpus());
    let mode = |value: &str, new: Namespace| {
        if value == "host" {
            Namespace::Host
        } else {
            new
        }
    };
    Ok(ContainerSpec {
        id: record.id.clone(),
        readonly_root: host.readonly_rootfs,
        hostname: record.config.hostname.clone(),
        domainname: record.config.domainname.clone(),
        process: first_process(record, &security, &around.linked)?,
        mounts: around.mounts,
        namespaces: Namespaces {
            net: around.net,
            pid: around.pid,
            ipc: around.ipc,
            uts: mode(&host.uts_mode, Namespace::New),
            cgroup: mode(&host.cgroupns_mode, Namespace::New),
        },
        cgroup: cgroup(record),
        resources: resources::for_kernel(host)?,
        masked_paths: paths.masked_paths.unwrap_or_default(),
        readonly_paths: paths.readonly_paths.unwrap_or_default(),
        sysctls: host.sysctls.clone(),
        shm: around.shm,
        devices,
        device_rules,
        privileged: host.privileged,
        writable_cgroups: security.writable_cgroups,
        log: logs::config::spec(record, &around.dir),
    })
}

fn first_process(
    record: &Record,
    security: &Security,
    linked: &[String],
) -> Result<Process, Error> {
    let host = &record.host_config;
    let config = &record.config;
    Ok(Process {
        args: init::arguments(host, config.command()),
        env: env::environment(record, config.tty, linked),
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
