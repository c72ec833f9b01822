//! Network namespaces that live without a process: each is held by a bind mount of its nsfs file.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags};

use crate::Error;
use crate::pool::{Fresh, Pool, within};

/// `NSFS_MAGIC` of `linux/magic.h`.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// The directory that holds the namespaces.
#[derive(Debug)]
pub(crate) struct Namespaces {
    directory: PathBuf,
    pool: Pool,
}

impl Namespaces {
    /// Makes `directory` a mount of its own that passes mounts on to nobody: a copy in another
    /// mount namespace would keep a container's network alive.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
        if !is_mount(&directory)? {
            rustix::mount::mount_bind(&directory, &directory)
                .map_err(Error::file("mount", &directory))?;
        }
        rustix::mount::mount_change(&directory, MountPropagationFlags::PRIVATE)
            .map_err(Error::file("make private", &directory))?;
        let pool = Pool::start()?;
        Ok(Self { directory, pool })
    }

    /// Where the namespace of a container is.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.directory.join(id)
    }

    /// Gives a container a namespace, which `configure` makes its own; when that fails nothing is
    /// left.
    pub(crate) fn create<T>(
        &self,
        id: &str,
        configure: impl FnOnce(&mut Fresh) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = self.path(id);
        File::create_new(&path).map_err(Error::file("create", &path))?;
        let made = self.pool.take().and_then(|mut fresh| {
            let own = format!("/proc/self/fd/{}", fresh.as_fd().as_raw_fd());
            rustix::mount::mount_bind(own, &path).map_err(Error::file("mount", &path))?;
            configure(&mut fresh)
        });
        self.pool.refill();
        if made.is_err()
            && let Err(error) = self.remove(id)
        {
            tracing::warn!(%error, "a half-made network namespace stays until the next start");
        }
        made
    }

    /// Runs `work` in the namespace of a container, on a thread of its own that then ends.
    pub(crate) fn enter<T: Send>(
        &self,
        id: &str,
        work: impl FnOnce() -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let path = self.path(id);
        let netns = File::open(&path).map_err(Error::file("open", &path))?;
        within(netns.as_fd(), work)
    }

    /// Lets go of a namespace; that there is none is fine.
    pub(crate) fn remove(&self, id: &str) -> Result<(), Error> {
        let path = self.path(id);
        // After a crash an id can have been mounted over twice.
        loop {
            match rustix::mount::unmount(&path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                Ok(()) => {}
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => break,
                Err(error) => return Err(Error::file("unmount", &path)(error)),
            }
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::file("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Whether the container's namespace is there and mounted.
    pub(crate) fn exists(&self, id: &str) -> bool {
        rustix::fs::statfs(self.path(id)).is_ok_and(|fs| fs.f_type == NSFS_MAGIC)
    }

    /// Everything in the directory.
    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        let mut ids = Vec::new();
        let entries =
            fs::read_dir(&self.directory).map_err(Error::file("read", &self.directory))?;
        for entry in entries {
            let entry = entry.map_err(Error::file("read", &self.directory))?;
            ids.extend(entry.file_name().into_string());
        }
        Ok(ids)
    }

    /// Undoes [`Namespaces::open`].
    pub(crate) fn close(&self) -> Result<(), Error> {
        for id in self.list()? {
            self.remove(&id)?;
        }
        match rustix::mount::unmount(&self.directory, UnmountFlags::DETACH) {
            // A second end finds nothing mounted: the first one did the work.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(Error::file("unmount", &self.directory)(error)),
        }
    }
}

/// Whether `path` is the root of a mount.
fn is_mount(path: &Path) -> Result<bool, Error> {
    let found = rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::empty())
        .map_err(Error::file("examine", path))?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
