//! Resource limits and the out-of-memory score.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit as KernelRlimit, getrlimit, setrlimit};

use crate::error::{Context, Error};
use crate::spec::Rlimit;

/// Sets `oom_score_adj`. Must run while the parent's `/proc` is still mounted.
pub(super) fn set_oom_score(score: i32) -> Result<(), Error> {
    if score == 0 {
        return Ok(());
    }
    let path = "/proc/self/oom_score_adj";
    match std::fs::write(path, score.to_string()) {
        // Lowering it needs CAP_SYS_RESOURCE; an engine that lacks it keeps its own score.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && score < 0 => Ok(()),
        other => other.at("write", path),
    }
}

/// Sets resource limits.
pub(super) fn set_rlimits(limits: &[Rlimit]) -> Result<(), Error> {
    for limit in limits {
        let resource = resource(&limit.name).ok_or_else(|| {
            Error::Invalid(format!(
                "wrong rlimit value: RLIMIT_{}",
                limit.name.to_uppercase()
            ))
        })?;
        let wanted = KernelRlimit {
            current: finite(limit.soft),
            maximum: finite(limit.hard),
        };
        match setrlimit(resource, wanted) {
            // Raising a hard limit needs CAP_SYS_RESOURCE: go as far as we can ourselves.
            Err(Errno::PERM) => {
                let own = getrlimit(resource).maximum;
                let cap = |value: Option<u64>| match (value, own) {
                    (Some(value), Some(own)) => Some(value.min(own)),
                    (value, own) => value.or(own),
                };
                let reachable = KernelRlimit {
                    current: cap(wanted.current),
                    maximum: cap(wanted.maximum),
                };
                setrlimit(resource, reachable).step("set a resource limit")?;
            }
            other => other.map_err(|source| Error::Limit {
                number: resource as u32,
                source,
            })?,
        }
    }
    Ok(())
}

fn finite(value: u64) -> Option<u64> {
    (value != u64::MAX).then_some(value)
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        "as" => Resource::As,
        _ => return None,
    })
}
