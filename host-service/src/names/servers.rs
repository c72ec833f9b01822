//! The name servers of this computer, read each time: a laptop changes networks.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(super) use unix::find;
#[cfg(windows)]
pub(super) use windows::find;
