//! The host on Windows.
#![expect(
    unsafe_code,
    reason = "asking Windows for memory, disks and short names has no safe wrapper"
)]

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use windows_sys::Win32::Storage::FileSystem::{GetDiskFreeSpaceExW, GetShortPathNameW};
use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};

/// Whether machines can start from a snapshot. QEMU cannot under WHPX.
pub(crate) const SNAPSHOTS: bool = false;

/// Whether QEMU can give back memory that the guest has no use for. Here it cannot, and would complain of
/// every piece.
pub(crate) const TAKES_MEMORY_BACK: bool = false;

/// Bytes of memory.
pub(crate) fn memory() -> Option<u64> {
    let mut status = MEMORYSTATUSEX::default();
    status.dwLength = u32::try_from(size_of::<MEMORYSTATUSEX>()).ok()?;
    // SAFETY: the structure is valid for writing and tells its own size.
    let done = unsafe { GlobalMemoryStatusEx(&raw mut status) };
    (done != 0).then_some(status.ullTotalPhys)
}

/// Bytes that this person may still write to the disk of a folder.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let mut free = 0;
    // SAFETY: the name ends with a zero; the number is a place to write to.
    let done =
        unsafe { GetDiskFreeSpaceExW(wide(path).as_ptr(), &raw mut free, null_mut(), null_mut()) };
    (done != 0).then_some(free)
}

/// A path that QEMU can open: it knows no letters outside its code page, but the short names of folders
/// have none.
pub(crate) fn for_qemu(path: &Path) -> PathBuf {
    if path.as_os_str().is_ascii() {
        return path.to_owned();
    }
    let mut room = vec![0; 1024];
    let size = u32::try_from(room.len()).unwrap_or_default();
    // SAFETY: the name ends with a zero; the room is as large as is said.
    let length = unsafe { GetShortPathNameW(wide(path).as_ptr(), room.as_mut_ptr(), size) };
    match room.get(..length as usize) {
        Some(short) if length > 0 => OsString::from_wide(short).into(),
        _ => path.to_owned(),
    }
}

/// A name with a zero at its end.
fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
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
