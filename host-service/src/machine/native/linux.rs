//! What native mode needs of Linux.

use std::fs;

use client::Home;
use client::wire::Problem;

use crate::problem::{Explain, problem};

/// Whether native mode can work here.
pub(super) fn check() -> Result<(), Problem> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(problem("native mode needs root")
        .because("it makes namespaces, mounts and network interfaces on this host")
        .hint("run slipwayd as root, or use a machine: `slipway machine start --driver qemu`"))
}

/// Whether the process is the warden of this home.
pub(super) fn is_warden(pid: u32, home: &Home) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
    let root = home.native_dir();
    words.contains(&b"--native".as_slice()) && words.contains(&root.as_os_str().as_encoded_bytes())
}
