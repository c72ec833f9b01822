//! The host on Windows.
#![expect(
    unsafe_code,
    reason = "asking Windows for the size of the memory has no safe wrapper"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};

/// Whether machines can start from a snapshot. QEMU cannot under WHPX.
pub(crate) const SNAPSHOTS: bool = false;

/// Bytes of memory.
pub(crate) fn memory() -> Option<u64> {
    let mut status = MEMORYSTATUSEX::default();
    status.dwLength = u32::try_from(size_of::<MEMORYSTATUSEX>()).ok()?;
    // SAFETY: the structure is valid for writing and tells its own size.
    let done = unsafe { GlobalMemoryStatusEx(&raw mut status) };
    (done != 0).then_some(status.ullTotalPhys)
}

/// Not asked for on Windows; QEMU's own error is shown when the disk is full.
pub(crate) fn free_space(_path: &Path) -> Option<u64> {
    None
}

/// Not asked for on Windows: what a probe found is kept until QEMU or the image changes.
pub(crate) fn boot_id() -> Option<String> {
    Some("windows".to_owned())
}

/// The fast accelerators of this system; a probe finds out whether it is switched on.
pub(crate) fn candidates() -> Vec<(&'static str, Result<(), String>)> {
    vec![("whpx", Ok(()))]
}

/// Where routes lead: an address and the length of its prefix.
pub(crate) fn routes() -> std::io::Result<Vec<(IpAddr, u8)>> {
    let output = std::process::Command::new("route").arg("print").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines();
    Ok(lines
        .filter_map(|line| route(line).or_else(|| route6(line)))
        .collect())
}

/// A line that begins with an address and a mask; all others are headings, in any language.
fn route(line: &str) -> Option<(IpAddr, u8)> {
    let mut words = line.split_whitespace();
    let address: Ipv4Addr = words.next()?.parse().ok()?;
    let mask: Ipv4Addr = words.next()?.parse().ok()?;
    let length = u32::from(mask).leading_ones();
    Some((address.into(), u8::try_from(length).ok()?))
}

/// One of IPv6: an interface's number, a metric, and the destination.
fn route6(line: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = line.split_whitespace().nth(2)?.split_once('/')?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some((address.into(), length.parse().ok()?))
}
