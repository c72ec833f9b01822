//! A container's files as a handle, for whoever copies into or out of a container.
//!
//! A view is a mount namespace of its own in which the container's root and its volumes are
//! mounted, and nothing else of the machine is reachable from [`View::root`] as long as paths are
//! resolved with `RESOLVE_IN_ROOT`. It lives exactly as long as its handles: no mount is ever seen
//! by anyone else, and none is left when a program dies. Nothing of the container is run, and no
//! code of ours runs with the container's files as its root.
//!
//! Unlike the rest of the crate this may be called from a process with many threads: it forks
//! nothing, and the threads that change their namespaces end before a view is handed out.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces};

use crate::child::{mounts, namespaces, resolve, root, user};
use crate::error::{Context, Error};
use crate::spec::Mount;
use crate::sys;

/// The root file system of a container.
#[derive(Debug, Clone)]
pub struct Root {
    /// Read-only layers, the topmost first.
    pub lower: Vec<PathBuf>,
    /// The container's own read-write layer.
    pub upper: PathBuf,
    /// overlayfs's work directory, on the same file system as `upper`.
    pub work: PathBuf,
}

/// A container's files.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    bare: OwnedFd,
    /// Keeps the mounts below the root in their places.
    namespace: OwnedFd,
}

impl View {
    /// The root directory, with the container's mounts on it.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The root directory without anything mounted on it.
    #[must_use]
    pub fn bare(&self) -> BorrowedFd<'_> {
        self.bare.as_fd()
    }

    /// Runs work that removes or replaces files. From outside of the view's namespace the kernel
    /// would let a mount point be removed, and unmount what is on it everywhere: in the container,
    /// too. Inside it says that the mount point is busy. `/` stays what it is for the caller.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        on_a_thread(|| {
            namespaces::unshare(UnshareFlags::FS).step("leave the other threads' root")?;
            let home = resolve::open_root()?;
            move_into_thread_name_spaces(self.namespace.as_fd(), ThreadNameSpaceType::MOUNT)
                .step("enter the view")?;
            rustix::process::fchdir(&home).step("return to the root")?;
            rustix::process::chroot(".").step("return to the root")?;
            Ok(work())
        })
    }

    /// User and group that a name or number of Docker's `--user` means in this container.
    ///
    /// # Errors
    /// When the container knows no such user or group.
    pub fn owner(&self, name: &str) -> Result<(u32, u32), Error> {
        let identity = user::resolve(self.root(), name, &[])?;
        Ok((identity.uid.as_raw(), identity.gid.as_raw()))
    }

    /// The files of a container without processes: its layers and these mounts. Nobody else may
    /// have the layers mounted meanwhile.
    ///
    /// # Errors
    /// When something cannot be mounted.
    pub fn stopped(root: &Root, readonly: bool, mounts: &[Mount]) -> Result<Self, Error> {
        on_a_thread(|| {
            let (tree, namespace) = enter_new_namespace(|| root::open(root))?;
            let sources = mounts::open_sources(mounts)?;
            let bare = clone(tree.as_fd(), false).step("open the root")?;
            mounts::attach(tree.as_fd(), mounts, sources)?;
            if readonly {
                root::make_readonly(tree.as_fd())?;
            }
            Ok(Self {
                root: tree,
                bare,
                namespace,
            })
        })
    }

    /// The files of a running container as its processes see them: its root and what is mounted at
    /// `targets`. `process` is a handle of the first process's directory in `/proc`.
    ///
    /// # Errors
    /// When the process is gone (`ESRCH`) or something cannot be mounted.
    pub fn running(process: BorrowedFd<'_>, targets: &[String]) -> Result<Self, Error> {
        let theirs = rustix::fs::openat(
            process,
            "ns/mnt",
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .step("open the container's mount namespace")?;
        let (root, parts) = on_a_thread(|| borrow(theirs.as_fd(), targets))?;
        on_a_thread(|| {
            let (tree, namespace) = enter_new_namespace(|| Ok(root))?;
            let bare = clone(tree.as_fd(), false).step("open the root")?;
            for (target, part) in parts {
                match resolve::open(tree.as_fd(), &target, OFlags::PATH) {
                    Ok(point) => match mounts::attach_at(part.as_fd(), point.as_fd()) {
                        // A file over a directory: the container has changed its root since.
                        Ok(()) | Err(Errno::NOTDIR) => {}
                        Err(errno) => return Err(errno).at("mount on", &target),
                    },
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(errno) => return Err(errno).at("open the mount point", &target),
                }
            }
            Ok(Self {
                root: tree,
                bare,
                namespace,
            })
        })
    }
}

/// A container's root for [`crate::start`], attached nowhere. It is unmounted, and what was written
/// to it brought to the disk, when the container is gone and the last of its handles is closed.
///
/// # Errors
/// When it cannot be mounted.
pub fn root(root: &Root) -> Result<OwnedFd, Error> {
    root::open(root)
}

/// Makes a directory, with all above it, in a container's root that nobody else has mounted.
///
/// # Errors
/// When it cannot be made; something else may be in its place.
pub fn make_directories(root: &Root, path: &str) -> Result<(), Error> {
    let tree = root::open(root)?;
    resolve::create_directories(tree.as_fd(), path).map(drop)
}

/// The merged files of read-only layers, the topmost first.
///
/// # Errors
/// When they cannot be mounted.
pub fn layers(lower: &[PathBuf]) -> Result<OwnedFd, Error> {
    match lower {
        // overlayfs wants two layers at least.
        [only] => root::open_layer(only),
        _ => root::overlay(lower, None),
    }
}

/// Runs `work` on a thread that ends with it: namespaces belong to threads, and no other work of
/// ours may run in a container's.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("container-files".into())
            .spawn_scoped(scope, work)
            .step("start a thread")?
            .join()
            .unwrap_or_else(|_| Err(Error::Invalid("a thread of the runtime failed".into())))
    })
}

/// Moves this thread into a mount namespace of its own and mounts what `open` gives there, over
/// its `/`; returns the mount and the namespace.
fn enter_new_namespace(
    open: impl FnOnce() -> Result<OwnedFd, Error>,
) -> Result<(OwnedFd, OwnedFd), Error> {
    namespaces::unshare(UnshareFlags::NEWNS | UnshareFlags::FS).step("make a mount namespace")?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", slave).step("make the mounts of the view private")?;
    let tree = open()?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&tree, "", rustix::fs::CWD, "/", flags).step("mount the root")?;
    let namespace = rustix::fs::open(
        "/proc/thread-self/ns/mnt",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .step("open the mount namespace")?;
    Ok((tree, namespace))
}

/// A root and what is mounted on it, by path.
type Borrowed = (OwnedFd, Vec<(String, OwnedFd)>);

/// Clones the root and what is mounted at `targets` out of a namespace. Only this thread enters it.
fn borrow(namespace: BorrowedFd<'_>, targets: &[String]) -> Result<Borrowed, Error> {
    namespaces::unshare(UnshareFlags::FS).step("leave the other threads' root")?;
    move_into_thread_name_spaces(namespace, ThreadNameSpaceType::MOUNT)
        .step("look into the container's mount namespace")?;
    let root = resolve::open_root()?;
    let mut parts = Vec::new();
    for target in targets {
        let part = resolve::open(root.as_fd(), target, OFlags::PATH)
            .and_then(|point| clone(point.as_fd(), true));
        match part {
            Ok(part) => parts.push((target.clone(), part)),
            // The container may have taken it away.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(errno).at("open the mount", target),
        }
    }
    Ok((clone(root.as_fd(), false).step("open the root")?, parts))
}

fn clone(of: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = rustix::mount::open_tree(of, "", flags)?;
    // What is mounted on the clone must not appear where it was cloned from.
    sys::mount_setattr(tree.as_fd(), recursive, 0, libc::MS_PRIVATE)?;
    Ok(tree)
}
