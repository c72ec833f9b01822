//! What is mounted at a volume with driver options, while a container uses it.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::Volume;
use super::options::Backing;
use crate::containers::{Container, MountPoint};
use crate::error::go_text;
use crate::{Engine, Error};

impl Engine {
    /// Mounts what the volumes of a container that starts need. Blocks.
    pub(crate) fn mount_volumes(&self, points: &[MountPoint]) -> Result<(), Error> {
        // For the others, too: files that are being replaced are in their place after this.
        let _alone = self.mounting();
        for volume in self.backed(points) {
            mount(&volume).map_err(|e| {
                e.prefixed(&format!(
                    "error while mounting volume '{}': ",
                    volume.mountpoint.display()
                ))
            })?;
        }
        Ok(())
    }

    /// The same for somebody who looks at the files of a container that does not run, until the
    /// answer is dropped. Blocks.
    pub(crate) fn view_volumes(
        self: &Arc<Self>,
        container: &Arc<Container>,
        points: &[MountPoint],
    ) -> Result<Viewed, Error> {
        let volumes = self.backed(points);
        {
            let mut viewers = self.mounting();
            for volume in &volumes {
                *viewers.entry(volume.name.clone()).or_default() += 1;
            }
        }
        let viewed = Viewed {
            engine: Arc::clone(self),
            container: Arc::clone(container),
            volumes: volumes.into_iter().map(|volume| volume.name).collect(),
        };
        self.mount_volumes(points)?;
        Ok(viewed)
    }

    /// Unmounts what no container needs now that this one has ended. Blocks.
    pub(crate) fn unmount_volumes(&self, container: &Container) {
        let points = container.lock().record.mounts.clone();
        super::subpath::release(&container.dir);
        for volume in self.backed(&points) {
            let viewers = self.mounting();
            let used = viewers.contains_key(&volume.name)
                || self.all_containers().iter().any(|other| {
                    let inner = other.lock();
                    let record = &inner.record;
                    other.id != container.id
                        && (record.state.is_running() || record.state.is_starting())
                        && record.mounts.iter().any(|point| point.is_of(&volume.name))
                });
            if !used && let Err(error) = unmount(&volume.mountpoint) {
                tracing::warn!(volume = volume.name, %error, "it stays mounted");
            }
        }
    }

    fn backed(&self, points: &[MountPoint]) -> Vec<Volume> {
        points
            .iter()
            .filter(|point| point.kind == "volume")
            .filter_map(|point| self.volumes.get(&point.name))
            .filter(Volume::has_backing)
            .collect()
    }

    /// Keeps others from mounting, unmounting and replacing volumes' files.
    pub(super) fn mounting(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.volumes
            .mounting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the volumes of a container mounted that does not run; unmounts what nobody else uses when
/// it is dropped, which blocks.
#[derive(Debug)]
pub(crate) struct Viewed {
    engine: Arc<Engine>,
    container: Arc<Container>,
    volumes: Vec<String>,
}

impl Drop for Viewed {
    fn drop(&mut self) {
        {
            let mut viewers = self.engine.mounting();
            for volume in &self.volumes {
                if let Some(count) = viewers.get_mut(volume) {
                    *count -= 1;
                    if *count == 0 {
                        viewers.remove(volume);
                    }
                }
            }
        }
        self.engine.unmount_volumes(&self.container);
    }
}

/// Mounts a volume's device, unless it is mounted already.
pub(super) fn mount(volume: &Volume) -> Result<(), Error> {
    let target = &volume.mountpoint;
    let Some(options) = volume.options.as_ref().filter(|_| volume.has_backing()) else {
        return Ok(());
    };
    if is_mounted(target) {
        return Ok(());
    }
    let mut backing = Backing::new(options);
    if backing.kind == "nfs" {
        backing.data = with_address(&backing.data)?;
    }
    mount_at(&backing, target).map_err(|errno| failed(&backing, target, errno))
}

fn mount_at(backing: &Backing, target: &Path) -> Result<(), Errno> {
    if !backing.is_bind() {
        let data = CString::new(backing.data.as_str()).map_err(|_| Errno::INVAL)?;
        return rustix::mount::mount(
            backing.device.as_str(),
            target,
            backing.kind.as_str(),
            backing.flags,
            data.as_c_str(),
        );
    }
    if backing.recursive {
        rustix::mount::mount_bind_recursive(backing.device.as_str(), target)?;
    } else {
        rustix::mount::mount_bind(backing.device.as_str(), target)?;
    }
    let more = backing.flags - MountFlags::BIND;
    if more.is_empty() {
        return Ok(());
    }
    rustix::mount::mount_remount(target, backing.flags, "")
}

/// Docker's words, and what to do where the kernel lacks the file system.
fn failed(backing: &Backing, target: &Path, errno: Errno) -> Error {
    let mut text = format!(
        "failed to mount local volume: mount {}:{}",
        backing.device,
        target.display()
    );
    if !backing.flags.is_empty() {
        text += &format!(", flags: {:#x}", backing.flags.bits());
    }
    if !backing.data.is_empty() {
        text += &format!(", data: {}", backing.data);
    }
    text += &format!(": {}", go_text(&errno.into()));
    if errno == Errno::NODEV && backing.kind.starts_with("nfs") {
        text += ": Slipway's machine has no NFS client; mount the export on the computer and use a bind mount of it";
    }
    Error::System(text)
}

/// The kernel's NFS client wants an address where people write a name.
fn with_address(data: &str) -> Result<String, Error> {
    let words: Result<Vec<String>, Error> = data
        .split(',')
        .map(|word| match word.strip_prefix("addr=") {
            Some(name) if name.parse::<IpAddr>().is_err() => {
                let found = (name, 0)
                    .to_socket_addrs()
                    .ok()
                    .and_then(|mut found| found.next());
                let found = found.ok_or_else(|| {
                    Error::System(format!(
                        "error resolving passed in network volume address: {name} is not known"
                    ))
                })?;
                Ok(format!("addr={}", found.ip()))
            }
            _ => Ok(word.to_owned()),
        })
        .collect();
    Ok(words?.join(","))
}

fn is_mounted(path: &Path) -> bool {
    rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Unmounts everything at a path; that nothing is mounted is fine.
pub(super) fn unmount(path: &Path) -> Result<(), Error> {
    while is_mounted(path) {
        rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
            .map_err(|e| Error::file("unmounting", path, e.into()))?;
    }
    Ok(())
}
