//! Lines for whoever watches the warden: the machine's console, or standard error in native mode.

use std::io::Write;

/// Says that a step of the boot is done: `slipway: step NAME MS`, milliseconds since the kernel
/// started.
pub(crate) fn step(name: &str) {
    let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let milliseconds = since_boot.tv_sec * 1000 + i64::from(since_boot.tv_nsec as i32) / 1_000_000;
    line(&format!("slipway: step {name} {milliseconds}"));
}

/// Says why the machine can't start.
pub(crate) fn failed(why: &str) {
    line(&format!("slipway: failed {}", why.replace('\n', " ")));
}

/// Something worth knowing that stops nothing.
pub(crate) fn note(text: &str) {
    line(&format!("slipway: {text}"));
}

fn line(text: &str) {
    // One write a line, so that lines of several processes don't mix. Nobody may be listening.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}
