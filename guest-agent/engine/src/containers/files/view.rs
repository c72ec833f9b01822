//! A container's files, mounted for us alone. One view serves everybody who is at the container's
//! files at the same time: its writable layer may not be mounted twice. Starting and removing the
//! container wait until the last of them is done.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use runtime::spec::{Mount, MountKind};
use runtime::view::{Root, View};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::{Mutex, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::init_layer;
use crate::containers::{Container, MountPoint, Record, mounts, validate};
use crate::volumes::Viewed;
use crate::{Engine, Error, blocking};

/// How long the news of a process's end may take.
const NEWS: Duration = Duration::from_secs(10);
/// The files that the engine mounts over a container's own.
const HOST_FILES: [(&str, &str); 3] = [
    ("resolv.conf", "/etc/resolv.conf"),
    ("hostname", "/etc/hostname"),
    ("hosts", "/etc/hosts"),
];

/// Who is at a container's files now.
#[derive(Debug, Default)]
pub(crate) struct FileUse {
    current: Mutex<Weak<FileView>>,
    lock: Arc<RwLock<()>>,
}

impl FileUse {
    /// Waits until nobody is at the files, and keeps others out until dropped.
    pub(crate) async fn alone(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.lock).write_owned().await
    }

    /// Keeps the files where they are without mounting them.
    pub(crate) async fn share(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.lock).read_owned().await
    }
}

/// A container's files for one or more operations.
#[derive(Debug)]
pub(crate) struct FileView {
    view: View,
    /// What is mounted: paths in the container, and whether they may be written.
    mounts: Vec<(String, bool)>,
    readonly_root: bool,
    // In this order: the volumes are unmounted before somebody else may start the container.
    _volumes: Option<Viewed>,
    _held: OwnedRwLockReadGuard<()>,
}

impl FileView {
    /// The root directory with everything that is mounted on it.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.view.root()
    }

    /// The root directory alone.
    pub(super) fn bare(&self) -> BorrowedFd<'_> {
        self.view.bare()
    }

    /// Runs work that changes files.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        self.view.inside(work).map_err(|error| mount_error(&error))
    }

    /// User and group that a name means in the container.
    pub(super) fn owner(&self, user: &str) -> Result<(u32, u32), runtime::Error> {
        self.view.owner(user)
    }

    /// Docker's refusals. The kernel would refuse as well: what may not be written is mounted so.
    pub(super) fn check_writable(&self, path: &str) -> Result<(), Error> {
        let inside = |mount: &str| {
            path.strip_prefix(mount)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let innermost = self
            .mounts
            .iter()
            .filter(|(mount, _)| inside(mount))
            .max_by_key(|(mount, _)| mount.len());
        match innermost {
            Some((_, true)) => Ok(()),
            Some((_, false)) => Err(Error::Invalid("mounted volume is marked read-only".into())),
            None if self.readonly_root => Err(Error::Invalid(
                "container rootfs is marked read-only".into(),
            )),
            None => Ok(()),
        }
    }
}

impl Engine {
    /// The container's files: as its processes see them while it runs, otherwise its layers with
    /// its volumes.
    pub(crate) async fn file_view(
        self: &Arc<Self>,
        container: &Arc<Container>,
    ) -> Result<Arc<FileView>, Error> {
        let mut current = container.files.current.lock().await;
        if let Some(view) = current.upgrade() {
            return Ok(view);
        }
        loop {
            let held = container.files.share().await;
            let (record, gone, settling) = {
                let inner = container.lock();
                (inner.record.clone(), inner.removed, inner.settling)
            };
            if gone {
                return Err(Error::no_such_container(&container.id));
            }
            if settling {
                // Its files are still mounted as they were for its processes.
                drop(held);
                container.settled().await;
                continue;
            }
            let pid = record.state.pid();
            let engine = Arc::clone(self);
            let theirs = Arc::clone(container);
            let opened = blocking::run(move || engine.open_view(&record, &theirs, held)).await?;
            if let Some(view) = opened {
                let view = Arc::new(view);
                *current = Arc::downgrade(&view);
                return Ok(view);
            }
            // The first process has ended, and we shall hear of it.
            let heard = container.until(|inner| (inner.record.state.pid() != pid).then_some(()));
            tokio::time::timeout(NEWS, heard).await.map_err(|_| {
                Error::System(format!(
                    "the process of container {} cannot be found",
                    container.id
                ))
            })?;
        }
    }

    /// Nothing when the container's process is gone. Blocks.
    fn open_view(
        self: &Arc<Self>,
        record: &Record,
        container: &Arc<Container>,
        held: OwnedRwLockReadGuard<()>,
    ) -> Result<Option<FileView>, Error> {
        let pid = record.state.pid();
        // Without processes there is no tmpfs.
        let points: Vec<MountPoint> = record
            .mounts
            .iter()
            .filter(|point| pid.is_some() || point.kind != "tmpfs")
            .cloned()
            .collect();
        let dir = container.dir.as_path();
        let mut volumes = None;
        let view = match pid {
            Some(pid) => {
                let Some(process) = process(pid, &record.id)? else {
                    return Ok(None);
                };
                let mut targets: Vec<String> = HOST_FILES
                    .iter()
                    .map(|(_, target)| (*target).to_owned())
                    .chain(points.iter().map(|point| point.destination.clone()))
                    .collect();
                targets.sort_by_key(|target| target.matches('/').count());
                targets.dedup();
                match View::running(process.as_fd(), &targets) {
                    Ok(view) => view,
                    Err(error) if is_gone(&error) => return Ok(None),
                    Err(error) => return Err(mount_error(&error)),
                }
            }
            None => {
                let root = self.root(record, dir)?;
                let mut all = host_files(record, dir);
                volumes = Some(self.view_volumes(container, &record.mounts)?);
                let prepared = mounts::prepare(&record.mounts, self.store()?, dir)?;
                all.extend(prepared.into_iter().filter(|m| m.kind != MountKind::Tmpfs));
                for mount in &mut all {
                    // What is mounted in the view is nobody else's business.
                    mount.options.retain(|option| {
                        ["bind", "rbind", "nonrecursive-ro"].contains(&option.as_str())
                    });
                }
                View::stopped(&root, record.host_config.readonly_rootfs, &all)
                    .map_err(|error| mount_error(&error))?
            }
        };
        Ok(Some(FileView {
            view,
            mounts: points
                .into_iter()
                .map(|point| (point.destination, point.rw))
                .collect(),
            readonly_root: record.host_config.readonly_rootfs,
            _volumes: volumes,
            _held: held,
        }))
    }

    /// What a container's root is made of. Blocks.
    pub(crate) fn root(&self, record: &Record, dir: &Path) -> Result<Root, Error> {
        let store = self.store()?;
        let image = store.get(&images::Digest::parse(&record.image).map_err(|error| {
            Error::System(format!("the container's image id is damaged: {error}"))
        })?)?;
        let mut layers = store.layers(&image)?;
        let init = init_layer::of(dir, &self.init_layers(), &layers)?;
        layers.insert(0, init);
        Ok(Root {
            lower: layers,
            upper: dir.join("upper"),
            work: dir.join("work"),
        })
    }
}

fn host_files(record: &Record, dir: &Path) -> Vec<Mount> {
    HOST_FILES
        .iter()
        .map(|(name, target)| (dir.join(name), *target))
        .filter(|(source, target)| {
            let covered = record
                .mounts
                .iter()
                .any(|point| validate::clean_path(&point.destination) == *target);
            !covered && source.exists()
        })
        .map(|(source, target)| Mount {
            kind: MountKind::Bind,
            source,
            target: target.to_owned(),
            readonly: record.host_config.readonly_rootfs,
            options: Vec::new(),
        })
        .collect()
}

/// A handle of the process's directory in `/proc`, which stays that process's whatever becomes of
/// its number. Nothing when the process is not the container's any more.
fn process(pid: i32, container: &str) -> Result<Option<OwnedFd>, Error> {
    let path = format!("/proc/{pid}");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
        Ok(handle) => handle,
        Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
        Err(errno) => return Err(Error::file("opening", path.as_ref(), errno.into())),
    };
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let groups = rustix::fs::openat(&handle, "cgroup", read, Mode::empty())
        .map_err(std::io::Error::from)
        .and_then(|file| std::io::read_to_string(std::fs::File::from(file)));
    match groups {
        Ok(groups) if groups.contains(container) => Ok(Some(handle)),
        Ok(_) | Err(_) => Ok(None),
    }
}

fn is_gone(error: &runtime::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(errno) = error.downcast_ref::<Errno>() {
            return matches!(*errno, Errno::SRCH | Errno::NOENT);
        }
        cause = error.source();
    }
    false
}

fn mount_error(error: &runtime::Error) -> Error {
    Error::System(format!(
        "cannot mount the container's files: {}",
        runtime::Failure::from(error).message
    ))
}
