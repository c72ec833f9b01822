//! What the host has: processors, memory, room on its disk.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(target_os = "macos")]
use macos as platform;
#[cfg(windows)]
use windows as platform;

pub(crate) use platform::{
    SNAPSHOTS, TAKES_MEMORY_BACK, boot_id, candidates, for_qemu, free_space, routes,
};

const MIB: u64 = 1 << 20;

/// What a machine gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u64,
    pub(crate) disk_gib: u64,
}

impl Size {
    /// The host's processors, half its memory but at most 4 GiB, and a disk that takes only what
    /// is used; or what the environment says.
    pub(crate) fn choose() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let memory = platform::memory()
            .map_or(2048, |bytes| bytes / 2 / MIB)
            .clamp(512, 4096);
        Self {
            cpus: u32::try_from(setting("SLIPWAY_CPUS").unwrap_or(cpus).clamp(1, 255)).unwrap_or(1),
            memory_mib: setting("SLIPWAY_MEMORY_MB").unwrap_or(memory).max(256),
            disk_gib: setting("SLIPWAY_DISK_GB").unwrap_or(64).max(1),
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    let parsed = value.parse().ok();
    if parsed.is_none() {
        tracing::warn!("{name}={value} is not a number; the default is taken");
    }
    parsed
}
