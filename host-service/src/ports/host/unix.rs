//! Limits of open files.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections that are still being closed are no reason to wait.
pub(in crate::ports) const REUSES_ADDRESSES: bool = true;

/// What macOS takes when the hard limit is none.
const OPEN_MAX: u64 = 10_240;

/// Allows as many open files as we may: each connection to a published port takes one.
pub(crate) fn raise_limit() {
    let most = getrlimit(Resource::Nofile).maximum;
    for current in [
        most,
        most.map_or(Some(OPEN_MAX), |most| Some(most.min(OPEN_MAX))),
    ] {
        let limit = Rlimit {
            current,
            maximum: most,
        };
        if setrlimit(Resource::Nofile, limit).is_ok() {
            return;
        }
    }
    tracing::warn!("the limit of open files can't be raised");
}

/// How many files we may have open.
pub(in crate::ports) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Whether a limit of open files is the reason.
pub(in crate::ports) fn is_limit(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    errno
        .is_some_and(|errno| errno == rustix::io::Errno::MFILE || errno == rustix::io::Errno::NFILE)
}
