//! A volume's files as a handle, whether a container uses it or not.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};

use super::{Volume, backing};
use crate::{Engine, Error};

impl Engine {
    /// [`Self::open_volume`] for who wants to keep the files: one that can't have any is refused.
    pub(super) fn open_volume_with_files(&self, volume: &Volume) -> Result<OwnedFd, Error> {
        if volume.is_passing() && !self.is_volume_running(&volume.name) {
            let name = &volume.name;
            return Err(Error::Conflict(format!(
                "the volume {name} is in memory, and without a container that runs it holds nothing"
            )));
        }
        self.open_volume(volume)
    }

    /// Opens the directory of a volume's files. What has to be mounted for it stays as long as the
    /// handle. Blocks.
    pub(super) fn open_volume(&self, volume: &Volume) -> Result<OwnedFd, Error> {
        let viewers = self.mounting();
        let data = &volume.mountpoint;
        backing::mount(volume)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, data, flags, Mode::empty())
            .map_err(|e| Error::file("opening", data, e.into()));
        // A mount that is taken away is there until the last handle of it is closed.
        let used = self.is_volume_running(&volume.name) || viewers.contains_key(&volume.name);
        if volume.has_backing() && !used {
            backing::unmount(data)?;
        }
        opened
    }
}
