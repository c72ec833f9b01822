//! Where clients connect: a Unix socket or a named pipe, for this user only.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

pub(crate) use platform::Listener;
#[cfg(windows)]
pub(crate) use windows::make_folder;
