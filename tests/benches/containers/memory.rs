//! Resident memory of the engine's processes, against what it may be.

use std::fs;

use tests::peers::Peer;

use crate::engine;
use tests::figure::Figures;

/// MiB that warden and engine may take together while nothing runs.
const IDLE: f64 = 25.0;
/// MiB more for each running container.
const EACH: f64 = 0.3;
/// How many run.
const RUNNING: u32 = 100;

/// Warden and engine with nothing to do.
pub(crate) fn idle(figures: &Figures, ours: &Peer) {
    figures.report("memory-idle", resident(ours), IDLE, "MiB", 1.0);
}

/// What each running container adds.
pub(crate) fn running(figures: &Figures, ours: &Peer) {
    let before = resident(ours);
    let ids: Vec<String> = (0..RUNNING)
        .map(|_| {
            let id = engine::create(ours.socket(), "bridge", &["sleep", "10000"]);
            engine::start(ours.socket(), &id);
            id
        })
        .collect();
    let each = (resident(ours) - before) / f64::from(RUNNING);
    figures.report("memory-each", each.max(0.0), EACH, "MiB", 1.0);
    for id in ids {
        engine::remove(ours.socket(), &id);
    }
}

/// MiB of the warden and its engine.
fn resident(ours: &Peer) -> f64 {
    let warden = ours.pid();
    let children = fs::read_to_string(format!("/proc/{warden}/task/{warden}/children"))
        .expect("the warden's children");
    let engine = children
        .split_whitespace()
        .filter_map(|pid| pid.parse::<u32>().ok())
        .find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.trim() == "slipway-agent")
        })
        .expect("the engine");
    [warden, engine].into_iter().map(one).sum()
}

fn one(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .expect("its memory");
    kib / 1024.0
}
