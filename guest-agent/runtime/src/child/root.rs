//! The container's root: overlay from its layers, mounted through the new mount API by whoever asks
//! for the start, attached in the container's own mount namespace, and `pivot_root` into it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use crate::error::{Context, Error};
use crate::sys;
use crate::view::Root;

/// `MOUNT_ATTR_RDONLY` of linux/mount.h.
pub(super) const ATTR_RDONLY: u64 = 1;

/// `fsconfig` takes values of at most 255 bytes.
const LONGEST_VALUE: usize = 255;

/// Attaches the root over `/`, where nobody sees it until [`pivot`]. Mounts made here never reach
/// the engine's namespace.
pub(super) fn attach(root: BorrowedFd<'_>) -> Result<(), Error> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).step("make the container's mounts private")?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(root, "", CWD, "/", flags).step("mount the root")
}

/// The root, attached nowhere.
pub(crate) fn open(spec: &Root) -> Result<OwnedFd, Error> {
    if spec.lower.is_empty() {
        // An image without layers (`FROM scratch` and nothing else) has only its writable layer.
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree =
            rustix::mount::open_tree(CWD, &spec.upper, flags).at("open the root", &spec.upper)?;
        // What is mounted in it must not appear where it was cloned from.
        sys::mount_setattr(tree.as_fd(), false, 0, libc::MS_PRIVATE)
            .at("set the propagation of the root", &spec.upper)?;
        return Ok(tree);
    }
    let writable = Some((spec.upper.as_path(), spec.work.as_path()));
    overlay(&spec.lower, writable)
}

/// Mounts layers (the topmost first), with a writable one and its work directory on top if there
/// is one, attached nowhere.
pub(crate) fn overlay(
    lower: &[PathBuf],
    writable: Option<(&Path, &Path)>,
) -> Result<OwnedFd, Error> {
    let paths = lower;
    let context =
        rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).step("open overlayfs")?;
    rustix::mount::fsconfig_set_string(&context, "source", "overlay")
        .step("name the overlay root")?;
    let lower = paths
        .iter()
        .map(|path| open_layer(path))
        .collect::<Result<Vec<_>, _>>()?;
    let mut lower_plus = Ok(());
    for (layer, path) in lower.iter().zip(paths) {
        lower_plus = set_path(&context, "lowerdir+", path, layer.as_fd());
        if lower_plus.is_err() {
            break;
        }
    }
    match lower_plus {
        Ok(()) => {}
        // Kernels before 6.8 have only the joined form.
        Err(Errno::INVAL) => set_joined_layers(&context, &lower)?,
        Err(errno) => return Err(errno).step("add the layers of the root"),
    }
    let writable = writable.map(|(upper, work)| [("upperdir", upper), ("workdir", work)]);
    for (key, path) in writable.into_iter().flatten() {
        let directory = open_layer(path)?;
        set_path(&context, key, path, directory.as_fd()).at("add to the root", path)?;
    }
    rustix::mount::fsconfig_create(&context)
        .map_err(|errno| (errno, context_log(&context)))
        .or_else(|(errno, log)| {
            if log.is_empty() {
                Err(errno).step("create the overlay root")
            } else {
                Err(Error::Invalid(format!(
                    "cannot create the overlay root: {log}"
                )))
            }
        })?;
    rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .step("mount the overlay root")
}

pub(crate) fn open_layer(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).at("open the layer", path)
}

/// Long paths go through the descriptor's link in `/proc`.
fn set_path(
    context: &OwnedFd,
    key: &str,
    path: &Path,
    directory: BorrowedFd<'_>,
) -> Result<(), Errno> {
    if path.as_os_str().len() <= LONGEST_VALUE {
        rustix::mount::fsconfig_set_string(context, key, path)
    } else {
        rustix::mount::fsconfig_set_string(context, key, descriptor_path(directory))
    }
}

fn descriptor_path(directory: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", directory.as_raw_fd())
}

/// `lowerdir=a:b:c`, each by its short link: a name with a colon can't confuse the list.
fn set_joined_layers(context: &OwnedFd, lower: &[OwnedFd]) -> Result<(), Error> {
    let joined = lower
        .iter()
        .map(|layer| descriptor_path(layer.as_fd()))
        .collect::<Vec<_>>()
        .join(":");
    if joined.len() > LONGEST_VALUE {
        return Err(Error::Invalid(format!(
            "the image has {} layers, more than this kernel's overlayfs takes at once \
             (Linux 6.8 or newer takes 500)",
            lower.len()
        )));
    }
    rustix::mount::fsconfig_set_string(context, "lowerdir", joined.as_str())
        .step("add the layers of the root")
}

/// What the kernel wrote about a failed mount, one line a message.
fn context_log(context: &OwnedFd) -> String {
    let mut lines = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = rustix::io::read(context, &mut buffer) {
        lines.push(
            String::from_utf8_lossy(&buffer[..count])
                .trim_end()
                .to_owned(),
        );
    }
    lines.join("; ")
}

/// Makes `root` the root of this process and its mount namespace, and lets the old one go.
pub(super) fn pivot(root: BorrowedFd<'_>) -> Result<(), Error> {
    rustix::process::fchdir(root).step("enter the root")?;
    // With both arguments the same, the old root ends up on top of the new one.
    rustix::process::pivot_root(".", ".").step("pivot into the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step("detach the old root")?;
    rustix::process::chdir("/").step("enter the new root")
}

/// Makes the root itself read-only; mounts on top of it keep their own state.
pub(crate) fn make_readonly(root: BorrowedFd<'_>) -> Result<(), Error> {
    sys::mount_setattr(root, false, ATTR_RDONLY, 0).step("make the root read-only")
}
