//! Which process of the machine has a port.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;

use network::Protocol;

/// `nginx (process 4711)`; nothing where that can't be seen.
pub(super) fn holder_of(protocol: Protocol, port: u16) -> Option<String> {
    let listening = matches!(protocol, Protocol::Tcp);
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
            return Some(format!(
                "{} (process {})",
                name.trim(),
                pid.to_string_lossy()
            ));
        }
    }
    None
}

/// `socket:[INODE]` of the sockets with that port, from `/proc/net/tcp` or its kind.
fn sockets(text: &str, port: u16, listening: bool) -> Vec<String> {
    let port = format!(":{port:04X}");
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let state = *words.get(3)?;
            let here = words.get(1)?.ends_with(&port) && (!listening || state == "0A");
            here.then(|| words.get(9).map(|inode| format!("socket:[{inode}]")))?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::sockets;

    #[test]
    fn sockets_are_found_by_their_port() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4343 1\n";
        assert_eq!(sockets(text, 8080, true), ["socket:[4242]"]);
        assert_eq!(sockets(text, 8080, false).len(), 2);
        assert!(sockets(text, 80, true).is_empty());
    }
}
