//! The container's own mounts: binds and tmpfs, attached by descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use super::resolve;
use super::root::ATTR_RDONLY;
use crate::error::{Context, Error};
use crate::spec::{Mount, MountKind, SharedMemory};
use crate::sys;

/// `PROC_SUPER_MAGIC` of linux/magic.h.
const PROC_MAGIC: i64 = 0x9fa0;

/// Files of `/proc` that people legitimately cover (lxcfs and the like), as runc allows them.
const PROC_FILES: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// A mount that is not attached yet.
pub(crate) struct Detached {
    tree: OwnedFd,
    directory: bool,
}

/// Opens every mount before the root changes and before propagation is cut: a copy of a shared
/// mount can then still stay shared when the mount asks for it.
pub(crate) fn open_sources(mounts: &[Mount]) -> Result<Vec<Detached>, Error> {
    mounts.iter().map(open_source).collect()
}

fn open_source(mount: &Mount) -> Result<Detached, Error> {
    match &mount.kind {
        MountKind::Bind => open_bind(mount),
        MountKind::Tmpfs => Ok(Detached {
            tree: tmpfs(&mount.options)?,
            directory: true,
        }),
    }
}

/// The directory of `/dev/shm` that others have, too.
pub(super) fn open_shared_memory(shm: &SharedMemory) -> Result<Option<OwnedFd>, Error> {
    let SharedMemory::Shared(path) = shm else {
        return Ok(None);
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, path, flags).at("open the shared memory", path)?;
    sys::mount_setattr(tree.as_fd(), false, 0, libc::MS_PRIVATE)
        .at("set the attributes of the mount", path)?;
    Ok(Some(tree))
}

fn open_bind(mount: &Mount) -> Result<Detached, Error> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if !mount.options.iter().any(|option| option == "bind") {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = rustix::mount::open_tree(CWD, &mount.source, flags)
        .at("open the mount source", &mount.source)?;
    let propagation = mount
        .options
        .iter()
        .find_map(|option| propagation_of(option))
        .unwrap_or(libc::MS_PRIVATE);
    let has = |option: &str| mount.options.iter().any(|one| one == option);
    sys::mount_setattr(tree.as_fd(), true, 0, propagation)
        .at("set the propagation of the mount", &mount.source)?;
    if mount.readonly {
        let below = !has("nonrecursive-ro");
        sys::mount_setattr(tree.as_fd(), below, ATTR_RDONLY, 0)
            .at("make the mount read-only", &mount.source)?;
    }
    let directory = is_directory(tree.as_fd(), &mount.source)?;
    Ok(Detached { tree, directory })
}

fn is_directory(place: BorrowedFd<'_>, path: impl AsRef<Path>) -> Result<bool, Error> {
    let stat = rustix::fs::statat(place, "", AtFlags::EMPTY_PATH).at("look at", path)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// An empty file system in memory. Docker's defaults are `noexec,nosuid,nodev`, which options such
/// as `exec` lift; everything with a value goes to tmpfs itself.
fn tmpfs(options: &[String]) -> Result<OwnedFd, Error> {
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOEXEC
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV;
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).step("open tmpfs")?;
    rustix::mount::fsconfig_set_string(&context, "source", "tmpfs").step("configure tmpfs")?;
    let mut propagation = Vec::new();
    for option in options.iter().flat_map(|option| option.split(',')) {
        if let Some(kind) = propagation_of(option) {
            propagation.push(kind);
        }
        match option {
            // Where the files would be does not exist, and there is nothing to mount anew.
            "bind" | "rbind" => {
                return Err(Error::Invalid(
                    "failed to fulfil mount request: open tmpfs: no such file or directory".into(),
                ));
            }
            "remount" => {
                return Err(Error::Invalid(
                    "error mounting \"tmpfs\": remount: invalid argument".into(),
                ));
            }
            "sync" | "dirsync" => {
                rustix::mount::fsconfig_set_flag(&context, option).step("configure tmpfs")?
            }
            "exec" => attributes.remove(MountAttrFlags::MOUNT_ATTR_NOEXEC),
            "suid" => attributes.remove(MountAttrFlags::MOUNT_ATTR_NOSUID),
            "dev" => attributes.remove(MountAttrFlags::MOUNT_ATTR_NODEV),
            "noexec" => attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "nosuid" => attributes |= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "nodev" => attributes |= MountAttrFlags::MOUNT_ATTR_NODEV,
            "ro" => attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "noatime" | "strictatime" => {
                attributes.remove(MountAttrFlags::MOUNT_ATTR__ATIME);
                attributes |= match option {
                    "noatime" => MountAttrFlags::MOUNT_ATTR_NOATIME,
                    _ => MountAttrFlags::MOUNT_ATTR_STRICTATIME,
                };
            }
            "nodiratime" => attributes |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
            _ => {
                if let Some((key, value)) = option.split_once('=') {
                    rustix::mount::fsconfig_set_string(&context, key, value).map_err(|_| {
                        Error::Invalid(format!(
                            "error mounting \"tmpfs\": {option}: invalid argument"
                        ))
                    })?;
                }
            }
        }
    }
    let tree = make(&context, attributes, "mount tmpfs")?;
    for kind in propagation {
        sys::mount_setattr(tree.as_fd(), false, 0, kind).step("set the propagation of tmpfs")?;
    }
    Ok(tree)
}

/// What an option says of how mounts below it spread.
fn propagation_of(option: &str) -> Option<u64> {
    Some(match option {
        "private" | "rprivate" => libc::MS_PRIVATE,
        "slave" | "rslave" => libc::MS_SLAVE,
        "shared" | "rshared" => libc::MS_SHARED,
        "unbindable" | "runbindable" => libc::MS_UNBINDABLE,
        _ => return None,
    })
}

/// Creates the file system of a configured context and mounts it, attached nowhere.
pub(super) fn make(
    context: &OwnedFd,
    attributes: MountAttrFlags,
    step: &'static str,
) -> Result<OwnedFd, Error> {
    rustix::mount::fsconfig_create(context).step(step)?;
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).step(step)
}

/// Attaches a detached mount to an open mount point.
pub(crate) fn attach_at(
    tree: BorrowedFd<'_>,
    point: BorrowedFd<'_>,
) -> Result<(), rustix::io::Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", point, "", flags)
}

/// Attaches the mounts in order.
pub(crate) fn attach(
    root: BorrowedFd<'_>,
    mounts: &[Mount],
    sources: Vec<Detached>,
) -> Result<(), Error> {
    for (mount, source) in mounts.iter().zip(sources) {
        let point = resolve::mount_point(root, &mount.target, source.directory)?;
        refuse_proc(point.as_fd(), &mount.target)?;
        if !source.directory && is_directory(point.as_fd(), &mount.target)? {
            return Err(Error::Invalid(format!(
                "error mounting {:?} to rootfs at {:?}: not a directory",
                mount.source, mount.target
            )));
        }
        attach_at(source.tree.as_fd(), point.as_fd()).at("mount on", &mount.target)?;
        if mount.readonly && mount.kind != MountKind::Bind {
            sys::mount_setattr(source.tree.as_fd(), false, ATTR_RDONLY, 0)
                .at("make read-only", &mount.target)?;
        }
    }
    Ok(())
}

/// A mount over parts of `/proc` could fake what the runtime and security modules read there.
fn refuse_proc(point: BorrowedFd<'_>, target: &str) -> Result<(), Error> {
    let stat = rustix::fs::fstatfs(point).at("look at the mount point", target)?;
    if stat.f_type as i64 != PROC_MAGIC || PROC_FILES.contains(&target) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "\"{target}\" cannot be mounted because it is inside /proc"
    )))
}
