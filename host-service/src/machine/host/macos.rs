//! The host on macOS.

use std::path::Path;
use std::process::Command;

/// Whether machines can start from a snapshot. Nobody has tried it under HVF yet.
pub(crate) const SNAPSHOTS: bool = false;

/// Bytes of memory.
pub(crate) fn memory() -> Option<u64> {
    sysctl("hw.memsize")?.parse().ok()
}

/// Bytes free for this user on the file system of `path`.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(path).ok()?;
    Some(u64::from(stats.f_bavail) * u64::from(stats.f_frsize))
}

/// Different after each start of the host.
pub(crate) fn boot_id() -> Option<String> {
    sysctl("kern.bootsessionuuid")
}

/// The fast accelerators of this system.
pub(crate) fn candidates() -> Vec<(&'static str, Result<(), String>)> {
    let hvf = match sysctl("kern.hv_support").as_deref() {
        Some("1") => Ok(()),
        _ => Err("this host has no Hypervisor.framework".to_owned()),
    };
    vec![("hvf", hvf)]
}

fn sysctl(name: &str) -> Option<String> {
    let output = Command::new("/usr/sbin/sysctl")
        .args(["-n", name])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
