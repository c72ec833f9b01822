//! The few system calls that rustix does not wrap: `clone3`, `mount_setattr`, `close_range`,
//! `execve`, the signal reset and the seccomp filter.
#![expect(
    unsafe_code,
    reason = "raw system calls; every other module of this crate is safe code"
)]

use std::ffi::{CString, c_char, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// Which namespaces and cgroup the child gets.
pub(crate) struct CloneArgs<'a> {
    /// `CLONE_NEW*` flags.
    pub(crate) flags: u64,
    /// Directory of the cgroup to be born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
}

/// Both sides of a fork.
pub(crate) enum Forked {
    /// We are the child.
    Child,
    /// We are the parent.
    Parent {
        /// Of the child, in our pid namespace.
        pid: i32,
        /// Of the child.
        pidfd: OwnedFd,
    },
}

/// `struct clone_args` of linux/sched.h, version 2.
#[repr(C)]
#[derive(Default)]
struct RawCloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks. The caller must be the process's only thread.
pub(crate) fn fork(args: &CloneArgs<'_>) -> Result<Forked, Errno> {
    let mut pidfd: i32 = -1;
    let mut raw = RawCloneArgs {
        flags: args.flags | CLONE_PIDFD,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..RawCloneArgs::default()
    };
    if let Some(cgroup) = args.cgroup {
        raw.flags |= CLONE_INTO_CGROUP;
        raw.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `raw` is a valid clone_args of the size given, without CLONE_VM, so the child runs
    // on its own copy of this stack; the process has one thread, so no lock is held by another.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_mut(&mut raw),
            size_of::<RawCloneArgs>(),
        )
    };
    match result {
        0 => Ok(Forked::Child),
        pid if pid > 0 => Ok(Forked::Parent {
            pid: pid as i32,
            // SAFETY: the kernel has stored a new descriptor that nobody else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
        _ => Err(last_errno()),
    }
}

/// Changes attributes of a mount (and, with `recursive`, of all below it).
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    set: u64,
    propagation: u64,
) -> Result<(), Errno> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    const AT_RECURSIVE: i32 = 0x8000;
    let attr = MountAttr {
        set,
        clear: 0,
        propagation,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and `attr` a valid mount_attr of the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&attr),
            size_of::<MountAttr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

/// Marks every descriptor from 3 on close-on-exec, known to us or not.
pub(crate) fn close_rest_on_exec() -> Result<(), Errno> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: setting a flag on descriptors touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

/// Puts a descriptor at 0, 1 or 2, without close-on-exec.
pub(crate) fn set_standard(from: BorrowedFd<'_>, to: i32) -> Result<(), Errno> {
    // SAFETY: 0, 1 and 2 belong to no Rust object in the child.
    let result = unsafe {
        if from.as_raw_fd() == to {
            libc::fcntl(to, libc::F_SETFD, 0)
        } else {
            libc::dup2(from.as_raw_fd(), to)
        }
    };
    if result < 0 {
        Err(last_errno())
    } else {
        Ok(())
    }
}

/// Gives every signal its default action and unblocks all of them.
pub(crate) fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is a valid disposition; the kernel refuses the numbers it keeps.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an empty set is made by sigemptyset before it is used.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Installs a seccomp filter on this process.
pub(crate) fn install_filter(program: &[libc::sock_filter]) -> Result<(), Errno> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let filter = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    const SECCOMP_SET_MODE_FILTER: u32 = 1;
    // SAFETY: the kernel only reads the program, which outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            0,
            std::ptr::from_ref(&filter).cast::<c_void>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}

/// Replaces this process by a program; returns only when that fails.
pub(crate) fn execute(program: &CString, args: &[CString], env: &[CString]) -> Errno {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with a null pointer and their strings outlive the call.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    last_errno()
}

/// Leaves the child without running destructors or exit handlers of the parent's image.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` never returns and touches nothing.
    unsafe { libc::_exit(code) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Sends any signal, real-time ones included, to the process that a pidfd names.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: without a siginfo the call reads no memory of ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<c_void>(),
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    }
}
