//! `slipway` and the real docker CLI side by side, on the same engine, natively on this host.

#[cfg(unix)]
mod unix;
