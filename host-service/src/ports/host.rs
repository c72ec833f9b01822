//! What this computer's system knows of ports and open files.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(super) use linux::{holder, why_denied};
#[cfg(target_os = "macos")]
pub(super) use macos::{holder, why_denied};
#[cfg(unix)]
pub(super) use unix::{REUSES_ADDRESSES, is_limit, limit};
#[cfg(windows)]
pub(super) use windows::{REUSES_ADDRESSES, holder, is_limit, limit, why_denied};

#[cfg(unix)]
pub(crate) use unix::raise_limit;
#[cfg(windows)]
pub(crate) use windows::raise_limit;
