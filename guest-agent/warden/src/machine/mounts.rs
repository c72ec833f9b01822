//! The machine's own mounts, and the way from the initramfs to the root disk.

use std::ffi::CStr;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_change, mount_move, mount_remount,
};

use crate::error::{Context, Error, PathContext};

/// How long the root disk may take to appear.
const DISK_DEADLINE: Duration = Duration::from_secs(20);

/// Where the root disk is mounted before it becomes the root.
const NEW_ROOT: &str = "/root-new";

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
        ("devtmpfs", "/dev", MountFlags::NOSUID, c"mode=0755"),
    ])
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

/// Makes the console our standard streams: the kernel gave us none if the initramfs had no node.
pub(super) fn connect_console() {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    if let Ok(console) = rustix::fs::open("/dev/console", flags, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&console);
        let _ = rustix::stdio::dup2_stdout(&console);
        let _ = rustix::stdio::dup2_stderr(&console);
    }
}

/// Mounts the root disk and makes it the root. The initramfs can't be unmounted: it is emptied of
/// all but this running program, and made read-only, so that no container that gets hold of
/// `/proc/1/exe` can write to it.
pub(super) fn enter_root_disk(disk: &str) -> Result<(), Error> {
    wait_for_disk(disk)?;
    std::fs::create_dir_all(NEW_ROOT).at("make", NEW_ROOT)?;
    mount(disk, NEW_ROOT, "erofs", MountFlags::RDONLY, c"").at("mount the root disk", disk)?;
    for directory in ["dev", "proc", "sys"] {
        let from = Path::new("/").join(directory);
        let to = Path::new(NEW_ROOT).join(directory);
        mount_move(&from, &to).at("move the mount to", to)?;
    }
    let _ = std::fs::remove_dir_all("/lib");
    let _ = std::fs::remove_file("/modules.load");
    mount_remount("/", MountFlags::RDONLY, c"").step("make the initramfs read-only")?;
    rustix::process::chdir(NEW_ROOT).at("enter", NEW_ROOT)?;
    mount_move(".", "/").step("move the root disk to the root")?;
    rustix::process::chroot(".").step("change the root")?;
    rustix::process::chdir("/").step("enter the root")
}

/// Disks are found by the kernel while we already run.
fn wait_for_disk(disk: &str) -> Result<(), Error> {
    let deadline = Instant::now() + DISK_DEADLINE;
    while !Path::new(disk).exists() {
        if Instant::now() >= deadline {
            return Err(Error::Machine(format!(
                "the root disk {disk} did not appear within {} s",
                DISK_DEADLINE.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
