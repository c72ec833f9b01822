//! Waiting for conditions, always with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// Calls `check` until it gives something; panics with `what` when `limit` has passed.
pub fn until<T>(what: &str, limit: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {limit:?} in vain until {what}"
        );
        thread::sleep(Duration::from_millis(25));
    }
}

/// Like [`until`] for a condition without a value.
pub fn until_true(what: &str, limit: Duration, mut check: impl FnMut() -> bool) {
    until(what, limit, || check().then_some(()));
}

/// Whether a process is there, as anything but a zombie. Its files stay open until the last of its
/// threads is gone, which need not be the first.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().any(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat"));
        stat.is_ok_and(|stat| {
            let state = stat.rsplit(") ").next().unwrap_or_default();
            !state.starts_with(['Z', 'X'])
        })
    })
}

/// Sends a signal to a process of ours; one that is gone is fine.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // Gone already is what the caller wants in the end.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// A process's child that runs a program of this name.
#[must_use]
pub fn child_named(parent: u32, name: &str) -> Option<u32> {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .find(|pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|comm| name.starts_with(comm.trim()))
        })
}
