//! `/dev/shm` by `--ipc`: a container's own, none, the machine's, or one that several share.

use std::path::PathBuf;

use runtime::spec::SharedMemory;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::{Container, Record};
use crate::{Engine, Error};

impl Engine {
    /// What `/dev/shm` is for a container that is about to start. Blocks.
    pub(crate) fn shared_memory(
        &self,
        container: &Container,
        record: &Record,
    ) -> Result<SharedMemory, Error> {
        let mode = record.host_config.ipc_mode.as_str();
        let own_place = record
            .mounts
            .iter()
            .any(|point| point.destination == "/dev/shm");
        let size = u64::try_from(record.host_config.shm_size).unwrap_or(0);
        match mode {
            _ if own_place => Ok(SharedMemory::Absent),
            "none" => Ok(SharedMemory::Absent),
            "host" => Ok(SharedMemory::Shared("/dev/shm".into())),
            "shareable" => {
                let path = shared_directory(container);
                make(&path, size)?;
                Ok(SharedMemory::Shared(path))
            }
            _ => match mode.strip_prefix("container:") {
                Some(other) => Ok(SharedMemory::Shared(self.shared_memory_of(other)?)),
                None => Ok(SharedMemory::Own(size)),
            },
        }
    }

    /// The `/dev/shm` of another container, which must have been started to share it.
    fn shared_memory_of(&self, name: &str) -> Result<PathBuf, Error> {
        let other = self.container(name)?;
        let mode = other.lock().record.host_config.ipc_mode.clone();
        match mode.as_str() {
            "shareable" => Ok(shared_directory(&other)),
            "host" => Ok("/dev/shm".into()),
            _ => match mode.strip_prefix("container:") {
                Some(further) if further != name => self.shared_memory_of(further),
                _ => Err(Error::Invalid(format!(
                    "failed to join IPC namespace: container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                    other.id
                ))),
            },
        }
    }
}

fn shared_directory(container: &Container) -> PathBuf {
    container.dir.join("shm")
}

/// Mounts an empty one, unless an earlier start has left its.
fn make(path: &std::path::Path, size: u64) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|e| Error::file("creating", path, e))?;
    release_at(path);
    let data = std::ffi::CString::new(format!("mode=1777,size={size}"))
        .map_err(|e| Error::System(e.to_string()))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("shm", path, "tmpfs", flags, data.as_c_str())
        .map_err(|e| Error::file("mounting", path, e.into()))
}

/// Lets go of the directory of a container that has ended; those who share it keep it.
pub(crate) fn release(container: &Container) {
    let path = shared_directory(container);
    if path.exists() {
        release_at(&path);
    }
}

fn release_at(path: &std::path::Path) {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    match rustix::mount::unmount(path, flags) {
        // Nothing is mounted.
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
        Err(error) => tracing::warn!(%error, path = %path.display(), "unmounting failed"),
    }
}
