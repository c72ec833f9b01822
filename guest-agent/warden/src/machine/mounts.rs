//! The machine's own mounts; the kernel has mounted the root.

use std::ffi::CStr;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use crate::error::{Context, Error, PathContext};

const STRICT: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// One mount: kind, target, flags, options.
type Entry = (&'static str, &'static str, MountFlags, &'static CStr);

fn mount_all(entries: &[Entry]) -> Result<(), Error> {
    for (kind, target, flags, options) in entries {
        std::fs::create_dir_all(target).at("make", *target)?;
        match mount(*kind, *target, *kind, *flags, *options) {
            // The kernel was built to mount /dev by itself.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(errno) => return Err(errno).at("mount on", *target),
        }
    }
    Ok(())
}

/// What every other step needs.
pub(super) fn kernel_file_systems() -> Result<(), Error> {
    mount_all(&[
        ("proc", "/proc", STRICT, c""),
        ("sysfs", "/sys", STRICT, c""),
    ])?;
    devices()
}

/// The devices alone.
pub(super) fn devices() -> Result<(), Error> {
    mount_all(&[("devtmpfs", "/dev", MountFlags::NOSUID, c"mode=0755")])
}

/// What containers and the engine need.
pub(super) fn runtime_file_systems() -> Result<(), Error> {
    let nosuid_noexec = MountFlags::NOSUID | MountFlags::NOEXEC;
    let nosuid_nodev = MountFlags::NOSUID | MountFlags::NODEV;
    mount_all(&[
        (
            "devpts",
            "/dev/pts",
            nosuid_noexec,
            c"mode=0620,gid=5,ptmxmode=0666",
        ),
        ("tmpfs", "/dev/shm", nosuid_nodev, c"mode=1777"),
        ("tmpfs", "/run", nosuid_nodev, c"mode=0755"),
        ("tmpfs", "/tmp", nosuid_nodev, c"mode=1777"),
        ("cgroup2", "/sys/fs/cgroup", STRICT, c"nsdelegate"),
    ])?;
    // `docker run -v x:/y:rshared` needs a source that is shared.
    let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change("/", shared).step("share the machine's mounts")
}

/// Makes the console our standard streams: the kernel gave us none, since its root has no node.
pub(super) fn connect_console() {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    if let Ok(console) = rustix::fs::open("/dev/console", flags, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&console);
        let _ = rustix::stdio::dup2_stdout(&console);
        let _ = rustix::stdio::dup2_stderr(&console);
    }
}
