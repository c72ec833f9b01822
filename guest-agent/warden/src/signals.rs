//! Signals as readable events.
#![expect(unsafe_code, reason = "rustix has no signalfd")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// What a signal asks the warden to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// A child changed state.
    Child,
    /// Stop everything.
    Terminate,
}

/// A signalfd of the signals that concern us, which are blocked from then on.
#[derive(Debug)]
pub(crate) struct Signals(OwnedFd);

impl Signals {
    pub(crate) fn new() -> Result<Self, Errno> {
        // SAFETY: the set is initialised by sigemptyset before use; signalfd returns a descriptor
        // that nobody else owns.
        let fd = unsafe {
            let mut set = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut set);
            for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT] {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                let error = std::io::Error::last_os_error();
                return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self(fd))
    }

    /// Takes everything that is pending.
    pub(crate) fn take(&self) -> Vec<Signal> {
        const RECORD: usize = size_of::<libc::signalfd_siginfo>();
        let mut taken = Vec::new();
        let mut record = [0; RECORD];
        while let Ok(RECORD) = rustix::io::read(&self.0, &mut record) {
            // `ssi_signo` is the record's first field.
            let number = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
            taken.push(match number.cast_signed() {
                libc::SIGCHLD => Signal::Child,
                _ => Signal::Terminate,
            });
        }
        taken
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Gives a program that is about to be executed the signals back that are blocked here: it would
/// never hear that it is to end.
pub(crate) fn unblock(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;

    // SAFETY: the closure only makes async-signal-safe calls.
    unsafe { command.pre_exec(unblock_here) };
}

fn unblock_here() -> std::io::Result<()> {
    // SAFETY: the set is initialised by sigemptyset before use.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    Ok(())
}

/// The same with a descriptor at number 3.
pub(crate) fn inherit_as_3(command: &mut std::process::Command, fd: BorrowedFd<'_>) {
    use std::os::unix::process::CommandExt;

    let number = fd.as_raw_fd();
    let place = move || {
        // SAFETY: plain system calls on descriptors of the child's own table. With both numbers
        // the same, dup2 would keep close-on-exec.
        let result = unsafe {
            if number == 3 {
                libc::fcntl(3, libc::F_SETFD, 0)
            } else {
                libc::dup2(number, 3)
            }
        };
        if result < 0 {
            return Err(std::io::Error::last_os_error());
        }
        unblock_here()
    };
    // SAFETY: the closure only makes async-signal-safe calls.
    unsafe { command.pre_exec(place) };
}
