//! Setting the machine's clock to the host's.

use rustix::time::{ClockId, Timespec, clock_settime};

/// Sets the clock. The machine has no network time of its own.
pub(crate) fn set(unix_ns: u64) {
    let time = Timespec {
        tv_sec: i64::try_from(unix_ns / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (unix_ns % 1_000_000_000).try_into().unwrap_or(0),
    };
    if let Err(error) = clock_settime(ClockId::Realtime, time) {
        tracing::warn!(%error, "setting the clock failed");
    }
}
