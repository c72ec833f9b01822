//! Ports on Linux.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;

use link::ports::Protocol;

/// `nginx (process 4711)`; nothing where that can't be seen, such as another person's process.
pub(in crate::ports) fn holder(protocol: Protocol, port: u16) -> Option<String> {
    let listening = protocol == Protocol::Tcp;
    let inodes: BTreeSet<String> = ["", "6"]
        .iter()
        .filter_map(|kind| {
            std::fs::read_to_string(format!("/proc/net/{}{kind}", protocol.name())).ok()
        })
        .flat_map(|text| sockets(&text, port, listening))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc").ok()?;
    for process in processes.filter_map(Result::ok) {
        let pid = process.file_name();
        if !pid.as_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let has = files
            .filter_map(Result::ok)
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|link| inodes.contains(link.to_string_lossy().as_ref()));
        if has {
            let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
            let pid = pid.to_string_lossy();
            return Some(format!("{} (process {pid})", name.trim()));
        }
    }
    None
}

/// `socket:[INODE]` of the sockets with that port, from `/proc/net/tcp` or its kind.
fn sockets(text: &str, port: u16, listening: bool) -> Vec<String> {
    let port = format!(":{port:04X}");
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let here = words.get(1)?.ends_with(&port) && (!listening || *words.get(3)? == "0A");
        here.then(|| words.get(9).map(|inode| format!("socket:[{inode}]")))?
    };
    text.lines().skip(1).filter_map(socket).collect()
}

/// Why a port is not allowed and what to do.
pub(in crate::ports) fn why_denied(_protocol: Protocol, address: SocketAddr) -> String {
    let path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let first = std::fs::read_to_string(path).ok();
    let first: u16 = first
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024);
    if address.port() >= first {
        return String::new();
    }
    let port = address.port();
    format!(
        ": ports below {first} need a privilege that slipwayd does not have: publish a port from \
         {first} on, or allow it with `sudo sysctl net.ipv4.ip_unprivileged_port_start={port}`"
    )
}
