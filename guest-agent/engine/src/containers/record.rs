//! What is kept of a container on disk, in `<root>/containers/<id>/config.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::validate::clean_path;
use super::{Config, Health, HostConfig, State};
use crate::time::Time;
use crate::{Attachment, Bound, Error, VolumeRequest, state_file};

/// Everything about a container that outlives the engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without a slash.
    pub name: String,
    /// When it was created.
    pub created: Time,
    /// Id of its image, `sha256:…`.
    pub image: String,
    /// `linux/amd64`'s first part.
    pub platform: String,
    /// Configuration, merged with the image's.
    pub config: Config,
    /// Its ties to this machine.
    pub host_config: HostConfig,
    /// Mounts that the user or the image asked for.
    pub mounts: Vec<MountPoint>,
    /// Where it is in its life.
    pub state: State,
    /// When it was last started; zero when never.
    pub started_at: Time,
    /// When it last ended; zero when never.
    pub finished_at: Time,
    /// How it last ended.
    pub exit_code: i32,
    /// The kernel killed it for memory.
    pub oom_killed: bool,
    /// Why the last start failed.
    pub error: String,
    /// How often the restart policy started it.
    pub restart_count: u32,
    /// A person stopped it: the restart policy leaves it alone.
    pub manually_stopped: bool,
    /// Its places on networks, by the networks' names.
    #[serde(default)]
    pub networks: BTreeMap<String, Attachment>,
    /// Its ports (`80/tcp`) that the machine answers for, while it runs.
    #[serde(default)]
    pub ports: BTreeMap<String, Vec<Bound>>,
    /// Those that it had and that are not open any more: the person's computer has refused them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused_ports: BTreeMap<String, Vec<Bound>>,
    /// How fast its network may be.
    #[serde(default)]
    pub bandwidth: super::Bandwidth,
    /// What it calls others on the default bridge.
    #[serde(default)]
    pub links: Vec<super::Link>,
    /// How far a start has come.
    #[serde(default)]
    pub reached: Reached,
    /// What health checks found; nothing before the first start, or without checks.
    #[serde(default)]
    pub health: Option<Health>,
}

/// How far a start has come, in Docker's order: what it has made by then stays visible when it fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reached {
    /// Nothing to be seen.
    #[default]
    Nothing,
    /// The files of names, such as `/etc/hosts`.
    Names,
    /// A process, and with it the log.
    Process,
    /// Its networks.
    Networks,
}

/// A mount that the user or the image asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs` or `image`.
    pub kind: String,
    /// Name of a volume or of an image; empty otherwise.
    pub name: String,
    /// Path on the machine; empty for tmpfs.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// The mode as it was written: `ro`, `z` …
    pub mode: String,
    /// Not read-only.
    pub rw: bool,
    /// `rprivate` …; empty where it means nothing.
    pub propagation: String,
    /// Data of a tmpfs mount.
    pub tmpfs_options: Vec<String>,
    /// From `--mount` rather than `-v`: the source must exist.
    pub strict: bool,
    /// Bind only the directory itself, not what is mounted below.
    pub non_recursive: bool,
    /// Make only the directory itself read-only, not what is mounted below.
    #[serde(default)]
    pub read_only_non_recursive: bool,
    /// Path in the image or in the volume.
    #[serde(default)]
    pub subpath: String,
    /// Id of the image whose files they are: what its name meant when the container was made.
    #[serde(default)]
    pub image: String,
    /// A volume that nobody has named: it may go with the container.
    #[serde(default)]
    pub anonymous: bool,
    /// What a volume is to be, before it is made.
    #[serde(skip)]
    pub wish: Option<VolumeWish>,
}

/// What the volume of a mount is to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VolumeWish {
    /// How to make it, if it isn't there.
    pub request: VolumeRequest,
    /// Leave an empty volume empty.
    pub nocopy: bool,
}

impl MountPoint {
    /// Whether it is a mount of that volume.
    pub(crate) fn is_of(&self, volume: &str) -> bool {
        self.kind == "volume" && self.name == volume
    }
}

impl Record {
    /// Whether a start has come so far. Those of an older engine that have run have come to the end.
    #[must_use]
    pub fn has_reached(&self, step: Reached) -> bool {
        self.reached >= step || !self.started_at.is_zero()
    }

    /// Whether it is on no network: its networks count before the mode that it was made with.
    pub(crate) fn is_cut_off(&self) -> bool {
        let none = |name: &String| name == "none";
        let made_so = !self.networks.is_empty() || none(&self.host_config.network_mode);
        self.config.network_disabled || made_so && self.networks.keys().all(none)
    }

    /// Its place on the network of its mode; of another one where it has none there.
    #[must_use]
    pub fn endpoint(&self) -> Option<&network::Endpoint> {
        let own = self.networks.get(&self.host_config.network_mode);
        own.into_iter()
            .chain(self.networks.values())
            .find_map(|attachment| attachment.endpoint.as_ref())
    }

    /// The mounts that Docker tells of: all but those of `--tmpfs`.
    pub fn listed_mounts(&self) -> impl Iterator<Item = &MountPoint> {
        let memory: Vec<String> = self
            .host_config
            .tmpfs
            .keys()
            .map(|path| clean_path(path))
            .collect();
        let hidden =
            move |point: &&MountPoint| point.kind == "tmpfs" && memory.contains(&point.destination);
        self.mounts.iter().filter(move |point| !hidden(point))
    }

    /// It has no place on any network any more.
    pub(crate) fn leave_all(&mut self) {
        for attachment in self.networks.values_mut() {
            attachment.endpoint = None;
            attachment.bare_id.clear();
            attachment.left = true;
        }
        self.forget_ports();
    }

    /// It has no published ports any more; whether it had any.
    pub(crate) fn forget_ports(&mut self) -> bool {
        let open = std::mem::take(&mut self.ports);
        let refused = std::mem::take(&mut self.refused_ports);
        !open.is_empty() || !refused.is_empty()
    }

    /// Reads a record.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let content = std::fs::read(path).map_err(|e| Error::file("reading", path, e))?;
        serde_json::from_slice(&content)
            .map_err(|e| Error::System(format!("reading {}: {e}", path.display())))
    }

    /// Writes it, so that a crash of the engine leaves the old or the new one.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let content = serde_json::to_vec(self)
            .map_err(|e| Error::System(format!("writing {}: {e}", path.display())))?;
        state_file::write_behind(path, &content)
    }
}
