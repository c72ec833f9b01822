//! Facts about the machine and the engine, for `docker info`, `version` and `system df`.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use runtime::cgroup::{Hierarchy, Supported};

use crate::containers::{Snapshot, State};
use crate::{Engine, Error, Machine, blocking};

/// Slipway's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// dockerd's answer to what only a swarm's manager can do.
pub const NO_SWARM: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

/// What `docker info` shows.
#[derive(Debug, Clone)]
pub struct SystemInfo {
    /// Stable id of this engine.
    pub id: String,
    /// Containers in all.
    pub containers: usize,
    /// … that run.
    pub running: usize,
    /// … that are frozen.
    pub paused: usize,
    /// … that don't run.
    pub stopped: usize,
    /// Images.
    pub images: usize,
    /// Kernel release.
    pub kernel: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Name of the operating system.
    pub operating_system: String,
    /// Its version.
    pub os_version: String,
    /// Host name.
    pub name: String,
    /// Processors.
    pub cpus: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Where state is kept.
    pub root: String,
    /// File system of the root.
    pub backing_filesystem: String,
    /// Limits that the kernel can enforce.
    pub limits: Supported,
    /// What does not work here, in words.
    pub warnings: Vec<String>,
    /// Open descriptors of this process.
    pub descriptors: usize,
}

/// The bytes of a container's files.
#[derive(Debug, Clone, Copy)]
pub struct ContainerSize {
    /// What it wrote itself.
    pub own: u64,
    /// That and its image.
    pub all: u64,
}

impl ContainerSize {
    fn new(own: u64, image: impl TryInto<u64>) -> Self {
        let all = own.saturating_add(image.try_into().unwrap_or(0));
        Self { own, all }
    }
}

/// What `docker system df` shows.
#[derive(Debug, Clone)]
pub struct DiskUsage {
    /// Bytes of all layers.
    pub layers_size: u64,
    /// The images, with what they share and how many containers use each.
    pub images: Vec<crate::image::ListedImage>,
    /// All containers and their sizes.
    pub containers: Vec<(Snapshot, ContainerSize)>,
    /// Volumes on the data disk.
    pub volumes: Vec<crate::VolumeUsage>,
}

/// Number of processors when the engine was started.
pub(crate) fn cpus() -> usize {
    static CPUS: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CPUS
}

/// Memory of the machine in bytes.
pub(crate) fn memory_bytes() -> u64 {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .unwrap_or(0)
        * 1024
}

/// Bytes of the regular files below a directory, one with several names counted once; what can't be
/// read counts nothing.
pub(crate) fn directory_size(dir: &Path) -> u64 {
    fn size(dir: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
        let Ok(entries) = std::fs::read_dir(dir) else {
            return 0;
        };
        entries
            .filter_map(Result::ok)
            .map(|entry| match entry.metadata() {
                Ok(meta) if meta.is_dir() => size(&entry.path(), seen),
                Ok(meta) if meta.is_file() => {
                    let again = meta.nlink() > 1 && !seen.insert((meta.dev(), meta.ino()));
                    if again { 0 } else { meta.len() }
                }
                _ => 0,
            })
            .sum()
    }
    size(dir, &mut HashSet::new())
}

fn os_release(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(line.trim_matches('"').to_owned())
}

impl Engine {
    /// The machine's host name.
    #[must_use]
    pub(crate) fn host_name(&self) -> String {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    }

    /// Release of the kernel.
    #[must_use]
    pub fn kernel(&self) -> String {
        rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned()
    }

    /// The cgroups of this machine; nothing where there is no cgroup v2.
    pub(crate) fn hierarchy(&self) -> Option<&Hierarchy> {
        self.hierarchy
            .get_or_init(|| {
                Hierarchy::find()
                    .inspect_err(|error| tracing::warn!(%error, "containers have no limits"))
                    .ok()
            })
            .as_ref()
    }

    /// Limits that the kernel can enforce.
    pub(crate) fn supported_limits(&self) -> Supported {
        *self.supported.get_or_init(|| {
            let looked = self
                .hierarchy()
                .map(|hierarchy| hierarchy.supported(Path::new(crate::containers::CGROUPS)));
            match looked {
                Some(Ok(supported)) => supported,
                Some(Err(error)) => {
                    tracing::warn!(%error, "finding out which limits there are failed");
                    Supported::default()
                }
                None => Supported::default(),
            }
        })
    }

    /// What containers on this very host can't be held to, for the person who starts the engine. A
    /// machine of ours lacks nothing.
    #[must_use]
    pub fn missing_limits(&self) -> Option<String> {
        if self.options.machine == Machine::Vm {
            return None;
        }
        let has = self.supported_limits();
        let missing: Vec<&str> = [
            (has.memory, "memory"),
            (has.cpu_max && has.cpu_weight, "processor time"),
            (has.cpuset, "processors"),
            (has.pids, "processes"),
            (has.io_max, "disks"),
        ]
        .into_iter()
        .filter_map(|(has, what)| (!has).then_some(what))
        .collect();
        let (last, others) = missing.split_last()?;
        let what = match others {
            [] => (*last).to_owned(),
            _ => format!("{} and {last}", others.join(", ")),
        };
        Some(format!(
            "containers run without limits of {what}: this computer's cgroup v2 lacks their controllers, which cgroup v1 may hold. Start Linux with systemd.unified_cgroup_hierarchy=1 to have them"
        ))
    }

    /// What limits are checked against.
    pub(crate) fn limits(&self) -> crate::containers::Machine {
        crate::containers::Machine {
            cpus: cpus(),
            supported: self.supported_limits(),
        }
    }

    /// The facts for `docker info`.
    pub async fn info(self: &Arc<Self>) -> Result<SystemInfo, Error> {
        let engine = Arc::clone(self);
        blocking::run(move || engine.info_blocking()).await
    }

    fn info_blocking(&self) -> Result<SystemInfo, Error> {
        let states: Vec<State> = self
            .all_containers()
            .iter()
            .map(|c| c.lock().record.state)
            .collect();
        let running = states
            .iter()
            .filter(|s| matches!(s, State::Running { .. }) || s.is_restarting())
            .count();
        let paused = states
            .iter()
            .filter(|s| matches!(s, State::Paused { .. }))
            .count();
        let limits = self.supported_limits();
        let mut warnings: Vec<String> = [
            (limits.memory, "No memory limit support"),
            (limits.swap, "No swap limit support"),
            (limits.cpu_max, "No cpu cfs quota support"),
            (limits.cpu_max, "No cpu cfs period support"),
            (limits.cpu_weight, "No cpu shares support"),
            (limits.cpuset, "No cpuset support"),
            (limits.pids, "No pids limit support"),
            (limits.io_weight, "No io.weight support"),
            (limits.io_weight, "No io.weight (per device) support"),
            (limits.io_max, "No io.max (rbps) support"),
            (limits.io_max, "No io.max (wbps) support"),
            (limits.io_max, "No io.max (riops) support"),
            (limits.io_max, "No io.max (wiops) support"),
        ]
        .into_iter()
        .filter(|(has, _)| !has)
        .map(|(_, warning)| format!("WARNING: {warning}"))
        .collect();
        if let Some(network) = self.network.get() {
            warnings.extend(network.warnings().iter().map(|w| format!("WARNING: {w}")));
        }
        let uname = rustix::system::uname();
        Ok(SystemInfo {
            id: self.identity()?,
            containers: states.len(),
            running,
            paused,
            stopped: states.len() - running - paused,
            images: self.store()?.list()?.len(),
            kernel: self.kernel(),
            architecture: uname.machine().to_string_lossy().into_owned(),
            operating_system: match self.options.machine {
                Machine::Vm => format!("Slipway {VERSION}"),
                Machine::Native => os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".into()),
            },
            os_version: match self.options.machine {
                Machine::Vm => VERSION.into(),
                Machine::Native => os_release("VERSION_ID").unwrap_or_default(),
            },
            name: self.host_name(),
            cpus: cpus(),
            memory_bytes: memory_bytes(),
            root: self.options.root.display().to_string(),
            backing_filesystem: filesystem_name(&self.options.root),
            limits,
            warnings,
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        })
    }

    /// An id that stays with the state directory, made on first use.
    fn identity(&self) -> Result<String, Error> {
        let path = self.options.root.join("engine-id");
        if let Ok(id) = std::fs::read_to_string(&path)
            && !id.trim().is_empty()
        {
            return Ok(id.trim().to_owned());
        }
        let id = crate::ids::random_id()?;
        let id = format!(
            "{}-{}-{}-{}-{}",
            &id[..8],
            &id[8..12],
            &id[12..16],
            &id[16..20],
            &id[20..32]
        );
        crate::state_file::write(&path, id.as_bytes())?;
        Ok(id)
    }

    /// The figures for `docker system df`.
    pub async fn disk_usage(self: &Arc<Self>) -> Result<DiskUsage, Error> {
        let engine = Arc::clone(self);
        let volumes = self.volume_usage().await?;
        blocking::run(move || {
            let images = engine.store()?.list()?;
            let containers = engine.all_containers();
            let mut snapshots: Vec<_> = containers.iter().map(|c| c.snapshot()).collect();
            snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.record.created));
            engine.refresh_images(&mut snapshots)?;
            let containers: Vec<_> = snapshots
                .into_iter()
                .map(|snapshot| {
                    let own = directory_size(&snapshot.dir.join("upper"));
                    let image = images
                        .iter()
                        .find(|image| image.id.to_string() == snapshot.record.image);
                    let size = ContainerSize::new(own, image.map_or(0, |image| image.size));
                    (snapshot, size)
                })
                .collect();
            let images = engine.listed(&crate::image::ListRequest {
                shared_size: true,
                ..crate::image::ListRequest::default()
            })?;
            Ok(DiskUsage {
                layers_size: engine.store()?.usage().layers,
                images,
                containers,
                volumes,
            })
        })
        .await
    }

    /// The bytes of a container's files.
    pub async fn container_size(
        self: &Arc<Self>,
        snapshot: &Snapshot,
    ) -> Result<ContainerSize, Error> {
        let engine = Arc::clone(self);
        let upper = snapshot.dir.join("upper");
        let image = images::Digest::parse(&snapshot.record.image);
        blocking::run(move || {
            // An image that was removed by force counts for nothing.
            let layers = image
                .ok()
                .and_then(|id| engine.store().ok()?.get(&id).ok())
                .map_or(0, |image| image.size);
            Ok(ContainerSize::new(directory_size(&upper), layers))
        })
        .await
    }
}

fn filesystem_name(path: &Path) -> String {
    let Ok(found) = rustix::fs::statfs(path) else {
        return "unknown".into();
    };
    match found.f_type {
        0xef53 => "extfs",
        0x0102_1994 => "tmpfs",
        0x9123_683e => "btrfs",
        0x5846_5342 => "xfs",
        0x794c_7630 => "overlayfs",
        _ => "unknown",
    }
    .into()
}
