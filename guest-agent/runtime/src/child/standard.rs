//! The mounts that every container has: `/proc`, `/dev` and what is under it, `/sys`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::{FsOpenFlags, MountAttrFlags};

use super::devices::{self, Node};
use super::mounts::{attach_at, make};
use super::resolve;
use crate::error::{Context, Error};
use crate::spec::{ContainerSpec, SharedMemory};

/// Descriptors of the mounts that later steps need.
pub(super) struct Standard {
    /// `/proc`.
    pub(super) proc: OwnedFd,
    /// `/dev/pts`.
    pub(super) pts: OwnedFd,
    /// The container's `/dev/null`, known to be the real one.
    pub(super) null: OwnedFd,
}

const NOSUID_NOEXEC: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
const STRICT: MountAttrFlags = NOSUID_NOEXEC.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Mounts them all.
pub(super) fn mount(
    spec: &ContainerSpec,
    root: BorrowedFd<'_>,
    host_devices: &[Node],
    shared_memory: Option<OwnedFd>,
) -> Result<Standard, Error> {
    let kernel = |writable: bool| match writable {
        true => STRICT,
        false => STRICT | MountAttrFlags::MOUNT_ATTR_RDONLY,
    };
    let proc = mount_one(root, "proc", &[], STRICT, "/proc")?;
    let dev_options = [("mode", "755"), ("size", "65536k")];
    let dev_attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
    let dev = mount_one(root, "tmpfs", &dev_options, dev_attributes, "/dev")?;
    let null = devices::populate(dev.as_fd(), host_devices)?;
    let pts_options = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    let pts = mount_one(root, "devpts", &pts_options, NOSUID_NOEXEC, "/dev/pts")?;
    match &spec.shm {
        SharedMemory::Own(size) => {
            let size_text = size.to_string();
            let mut options = vec![("source", "shm"), ("mode", "1777")];
            if *size > 0 {
                options.push(("size", &size_text));
            }
            mount_one(root, "tmpfs", &options, STRICT, "/dev/shm")?;
        }
        SharedMemory::Shared(_) => {
            if let Some(tree) = shared_memory {
                attach_one(root, &tree, "/dev/shm")?;
            }
        }
        SharedMemory::Absent => {}
    }
    match mount_one(root, "mqueue", &[], STRICT, "/dev/mqueue") {
        // A kernel without POSIX message queues.
        Err(Error::Step {
            source: Errno::NODEV,
            ..
        }) => {}
        other => drop(other?),
    }
    mount_one(root, "sysfs", &[], kernel(spec.privileged), "/sys")?;
    // A sysfs without this directory belongs to a kernel without cgroups.
    match resolve::open_without_links(root, "/sys/fs/cgroup", OFlags::PATH | OFlags::DIRECTORY) {
        Ok(point) => {
            let cgroup = create("cgroup2", &[], kernel(spec.writable_cgroups))?;
            attach_at(cgroup.as_fd(), point.as_fd()).at("mount on", "/sys/fs/cgroup")?;
        }
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno).at("open the mount point", "/sys/fs/cgroup"),
    }
    Ok(Standard { proc, pts, null })
}

/// Makes one file system and attaches it. Its mount point must be an ordinary directory: a link
/// there would move `/proc` to a place of the image's choosing (CVE-2023-27561).
fn mount_one(
    root: BorrowedFd<'_>,
    kind: &'static str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
    target: &str,
) -> Result<OwnedFd, Error> {
    let tree = create(kind, options, attributes)?;
    attach_one(root, &tree, target)?;
    Ok(tree)
}

fn attach_one(root: BorrowedFd<'_>, tree: &OwnedFd, target: &str) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let point = match resolve::open_without_links(root, target, flags) {
        Err(Errno::NOENT) => resolve::create_directories(root, target)?,
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return Err(Error::Invalid(format!(
                "the image's \"{target}\" is not an ordinary directory"
            )));
        }
        other => other.at("open the mount point", target)?,
    };
    attach_at(tree.as_fd(), point.as_fd()).at("mount on", target)
}

fn create(
    kind: &'static str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Error> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).step(match kind {
        "mqueue" => "open mqueue",
        "cgroup2" => "open cgroup2",
        _ => "open a standard file system",
    })?;
    // The first column of `/proc/mounts`, as mount(8) would fill it.
    let named = options.iter().any(|(key, _)| *key == "source");
    let own = ("source", kind);
    for (key, value) in (!named).then_some(&own).into_iter().chain(options) {
        rustix::mount::fsconfig_set_string(&context, *key, *value)
            .step("configure a standard file system")?;
    }
    make(&context, attributes, "mount a standard file system")
}
