//! What `slipway` says to an engine and does with its answers, against a scripted one.

#[cfg(unix)]
mod unix;
