//! The host on macOS.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether machines can start from a snapshot. Nobody has tried it under HVF yet.
pub(crate) const SNAPSHOTS: bool = false;

/// Whether QEMU can give back memory that the guest has no use for.
pub(crate) const TAKES_MEMORY_BACK: bool = true;

/// Bytes of memory.
pub(crate) fn memory() -> Option<u64> {
    sysctl("hw.memsize")?.parse().ok()
}

/// Bytes free for this user on the file system of `path`.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(path).ok()?;
    Some(u64::from(stats.f_bavail) * u64::from(stats.f_frsize))
}

/// A path that QEMU can open: any.
pub(crate) fn for_qemu(path: &Path) -> PathBuf {
    path.to_owned()
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

/// Where routes lead: an address and the length of its prefix.
pub(crate) fn routes() -> std::io::Result<Vec<(IpAddr, u8)>> {
    let mut found = Vec::new();
    let kinds: [(_, fn(&str) -> Option<(IpAddr, u8)>); 2] =
        [("inet", destination), ("inet6", destination6)];
    for (kind, read) in kinds {
        let output = Command::new("netstat").args(["-rn", "-f", kind]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let words = text
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        found.extend(words.filter_map(read));
    }
    Ok(found)
}

/// A destination as `netstat` has it: zeros at the end are left out (`10.8/16`), and so is a length
/// that the written bytes tell (`192.168.1`).
fn destination(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse().ok()?)),
        None => (text, None),
    };
    let mut bytes = [0; 4];
    let mut count = 0;
    for part in address.split('.') {
        *bytes.get_mut(count)? = part.parse().ok()?;
        count += 1;
    }
    let length = length.or_else(|| u8::try_from(8 * count).ok())?;
    (length <= 32).then_some((bytes.into(), length))
}

/// The same of IPv6: an address, perhaps of an interface (`fe80::%lo0/64`).
fn destination6(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "128"));
    let address = address.split('%').next()?;
    let address: std::net::Ipv6Addr = address.parse().ok()?;
    Some((address.into(), length.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_abbreviated() {
        let at = |bytes: [u8; 4], length| Some((IpAddr::from(bytes), length));
        assert_eq!(destination("10.8/16"), at([10, 8, 0, 0], 16));
        assert_eq!(destination("192.168.1"), at([192, 168, 1, 0], 24));
        assert_eq!(destination("10"), at([10, 0, 0, 0], 8));
        assert_eq!(destination("10.0.0.7"), at([10, 0, 0, 7], 32));
        for other in ["default", "Destination", "1.2.3.4.5", "10/33"] {
            assert_eq!(destination(other), None, "{other}");
        }
        let ula = "fd12::".parse().ok().map(|ip: IpAddr| (ip, 64));
        assert_eq!(destination6("fd12::/64"), ula);
        assert!(destination6("fe80::%lo0/64").is_some());
        assert_eq!(destination6("default"), None);
    }
}
