//! The least that a container can cost: `clone3` into new namespaces, an overlay mount,
//! `pivot_root`, `execve`, `wait4`, and the removal of the two directories. No cgroup, no limits,
//! no record, no log. `cargo xtask bench containers` runs it in turn with the engine.
//!
//! `floor LOWER SCRATCH ROUNDS net|no-net PROGRAM [ARG…]` prints the microseconds of each round.
#![expect(
    unsafe_code,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a measurement of bare system calls, not a part of the product"
)]

use std::ffi::CString;
use std::path::Path;
use std::time::Instant;

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .expect("LOWER SCRATCH ROUNDS net|no-net PROGRAM [ARG…]")
    };
    let (lower, scratch) = (next(), next());
    let rounds: u32 = next().parse().expect("a number of rounds");
    let net = next() == "net";
    let program: Vec<CString> = arguments
        .map(|argument| CString::new(argument).expect("an argument"))
        .collect();
    for _ in 0..rounds {
        let begun = Instant::now();
        round(&lower, Path::new(&scratch), net, &program);
        println!("{}", begun.elapsed().as_micros());
    }
}

fn round(lower: &str, scratch: &Path, net: bool, program: &[CString]) {
    for name in ["upper", "work", "root"] {
        std::fs::create_dir_all(scratch.join(name)).expect("a directory");
    }
    let mut flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    if net {
        flags |= libc::CLONE_NEWNET;
    }
    // SAFETY: zeros are valid for this plain structure.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(flags.cast_unsigned());
    arguments.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: without a stack clone3 is a fork, and this program has one thread.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<libc::clone_args>(),
        )
    };
    assert!(pid >= 0, "clone3: {}", std::io::Error::last_os_error());
    if pid == 0 {
        enter(lower, scratch);
        let mut pointers: Vec<_> = program.iter().map(|word| word.as_ptr()).collect();
        pointers.push(std::ptr::null());
        let nothing = [std::ptr::null()];
        // SAFETY: both arrays end with null and outlive the call; _exit follows only a failure.
        unsafe {
            libc::execve(pointers[0], pointers.as_ptr(), nothing.as_ptr());
            libc::_exit(127);
        }
    }
    let mut status = 0;
    // SAFETY: the status is a valid place to write to.
    let waited = unsafe { libc::waitpid(pid as libc::pid_t, &raw mut status, 0) };
    assert!(i64::from(waited) == pid && status == 0, "status {status}");
    for name in ["upper", "work"] {
        std::fs::remove_dir_all(scratch.join(name)).expect("a removal");
    }
}

fn enter(lower: &str, scratch: &Path) {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).expect("private mounts");
    let root = scratch.join("root");
    let options = format!(
        "lowerdir={lower},upperdir={0}/upper,workdir={0}/work",
        scratch.display()
    );
    let options = CString::new(options).expect("mount options");
    mount(
        "overlay",
        &root,
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )
    .expect("overlay");
    rustix::process::chdir(&root).expect("chdir");
    rustix::process::pivot_root(".", ".").expect("pivot_root");
    unmount(".", UnmountFlags::DETACH).expect("umount");
}
