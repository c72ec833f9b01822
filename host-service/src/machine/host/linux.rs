//! The host on Linux.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Whether machines can start from a snapshot. KVM and emulation both can.
pub(crate) const SNAPSHOTS: bool = true;

/// Whether QEMU can give back memory that the guest has no use for.
pub(crate) const TAKES_MEMORY_BACK: bool = true;

/// Bytes of memory.
pub(crate) fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Bytes free for this user on the file system of `path`.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(path).ok()?;
    Some(stats.f_bavail * stats.f_frsize)
}

/// A path that QEMU can open: any.
pub(crate) fn for_qemu(path: &Path) -> PathBuf {
    path.to_owned()
}

/// Different after each start of the host.
pub(crate) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// The fast accelerators of this system, each with the reason why it cannot work if one is plain
/// to see.
pub(crate) fn candidates() -> Vec<(&'static str, Result<(), String>)> {
    let kvm = match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("this host has no /dev/kvm".to_owned())
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err("this user may not open /dev/kvm (join the group kvm)".to_owned())
        }
        Err(error) => Err(format!("/dev/kvm: {error}")),
    };
    vec![("kvm", kvm)]
}

/// Where routes lead: an address and the length of its prefix.
pub(crate) fn routes() -> std::io::Result<Vec<(IpAddr, u8)>> {
    let mut found = table(&fs::read_to_string("/proc/net/route")?);
    // There is none on a system without IPv6.
    found.extend(table6(
        &fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default(),
    ));
    Ok(found)
}

/// Reads `/proc/net/route`: numbers are hexadecimal, in the order of bytes of the network.
fn table(text: &str) -> Vec<(IpAddr, u8)> {
    let number = |word: &str| u32::from_str_radix(word, 16).ok().map(u32::from_be);
    let lines = text.lines().skip(1);
    lines
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (address, mask) = (number(words.get(1)?)?, number(words.get(7)?)?);
            let address = Ipv4Addr::from(address);
            Some((address.into(), u8::try_from(mask.leading_ones()).ok()?))
        })
        .collect()
}

/// Reads `/proc/net/ipv6_route`; the computer's own addresses are there too, and left out.
fn table6(text: &str) -> Vec<(IpAddr, u8)> {
    const LOCAL: u32 = 0x8000_0000;
    let lines = text.lines();
    lines
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let address = u128::from_str_radix(words.first()?, 16).ok()?;
            let length = u8::from_str_radix(words.get(1)?, 16).ok()?;
            let flags = u32::from_str_radix(words.get(8)?, 16).ok()?;
            (flags & LOCAL == 0).then(|| (Ipv6Addr::from(address).into(), length))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_routes() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
                    eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\n\
                    tun0\t0000080A\t00000000\t0001\t0\t0\t0\t0000FEFF\t0\n";
        let ip = |bytes: [u8; 4]| IpAddr::from(bytes);
        let expected = [(ip([0, 0, 0, 0]), 0), (ip([10, 8, 0, 0]), 15)];
        assert_eq!(table(text), expected);
    }

    #[test]
    fn a_table_of_routes_of_ipv6() {
        let line = |address: &str, length: &str, flags: &str| {
            let none = "0".repeat(32);
            format!("{address} {length} {none} 00 {none} 00000100 00000001 00000000 {flags} tun0\n")
        };
        let address = "fd7a115ca1e000000000000000000000";
        let text = line(address, "30", "00000001") + &line(address, "80", "80200001");
        let expected: IpAddr = "fd7a:115c:a1e0::".parse().expect("an address");
        assert_eq!(table6(&text), [(expected, 48)]);
    }
}
