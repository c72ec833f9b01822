//! A thin writer of the cgroup v2 file interface (Documentation/admin-guide/cgroup-v2.rst). On a
//! host whose v2 hierarchy lacks controllers (a hybrid one) limits are skipped with a warning.

mod devices;
mod limits;
mod usage;

pub use limits::Supported;
pub use usage::{Counters, IoUsage};

use std::collections::{BTreeSet, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use crate::error::{Context, Error};
use crate::spec::{DeviceRule, Resources};

/// How long a freeze may take; a process in an uninterruptible wait can delay it.
const FREEZE_DEADLINE: Duration = Duration::from_secs(2);

/// A mounted cgroup v2 hierarchy.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    root: PathBuf,
    /// Inodes of directories whose children have all controllers; the kernel uses none twice.
    ready: Arc<Mutex<HashSet<u64>>>,
}

impl Hierarchy {
    /// Finds the mount in `/proc/self/mountinfo`.
    pub fn find() -> Result<Self, Error> {
        let path = "/proc/self/mountinfo";
        let table = std::fs::read_to_string(path).at("read", path)?;
        parse_mountinfo(&table)
            .map(|root| Self {
                root,
                ready: Arc::default(),
            })
            .ok_or_else(|| Error::Invalid("no cgroup v2 hierarchy is mounted".into()))
    }

    /// Creates the directory of a container, with the controllers it needs enabled on the way
    /// down, and writes its limits. The second value says what could not be limited.
    pub fn create(
        &self,
        relative: &Path,
        resources: &Resources,
    ) -> Result<(Cgroup, Vec<String>), Error> {
        let cgroup = self.make(relative)?;
        let warnings = cgroup.limit(resources)?;
        Ok((cgroup, warnings))
    }

    /// The cgroup of a container, whether it is there or not.
    pub fn existing(&self, relative: &Path) -> Cgroup {
        Cgroup {
            path: self.root.join(relative),
        }
    }

    /// Which limits can be set below `relative`, a cgroup that is made for this and stays.
    pub fn supported(&self, relative: &Path) -> Result<Supported, Error> {
        let cgroup = self.make(relative)?;
        Ok(Supported::look(&cgroup.path))
    }

    fn make(&self, relative: &Path) -> Result<Cgroup, Error> {
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || relative.as_os_str().is_empty() {
            return Err(Error::Invalid(format!(
                "invalid cgroup path: {}",
                relative.display()
            )));
        }
        let mut path = self.root.clone();
        for part in relative.components() {
            self.make_ready(&path);
            path.push(part);
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                other => other.at("make the cgroup", &path)?,
            }
        }
        Ok(Cgroup { path })
    }

    fn make_ready(&self, directory: &Path) {
        let inode = rustix::fs::stat(directory).map_or(0, |stat| stat.st_ino);
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.insert(inode) || inode == 0 {
            enable_controllers(directory);
        }
    }
}

/// The mount point of the file system of type `cgroup2`.
fn parse_mountinfo(table: &str) -> Option<PathBuf> {
    table.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        (right.split(' ').next()? == "cgroup2")
            .then(|| left.split(' ').nth(4))
            .flatten()
            .map(PathBuf::from)
    })
}

/// Makes every controller of a directory available to its children. One that refuses must not keep the
/// others away, and what is missing shows when a limit is written.
fn enable_controllers(directory: &Path) {
    let read = |name: &str| -> BTreeSet<String> {
        std::fs::read_to_string(directory.join(name))
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    let enabled = read("cgroup.subtree_control");
    let missing = read("cgroup.controllers");
    let missing: Vec<_> = missing
        .difference(&enabled)
        .map(|controller| format!("+{controller}"))
        .collect();
    let write =
        |controllers: &str| std::fs::write(directory.join("cgroup.subtree_control"), controllers);
    // The kernel takes all or none, and goes through the children each time.
    if !missing.is_empty() && write(&missing.join(" ")).is_err() {
        for controller in missing {
            let _ = write(&controller);
        }
    }
}

/// One container's cgroup.
#[derive(Debug, Clone)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Opens the directory, to fork into it.
    pub fn open(&self) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(&self.path, flags, Mode::empty()).at("open the cgroup", &self.path)
    }

    /// Lets its processes use no devices but the standard ones and those of `rules`, whatever nodes
    /// they make.
    pub fn allow_devices(&self, rules: &[DeviceRule]) -> Result<(), Error> {
        devices::attach(self.open()?.as_fd(), rules).at("limit the devices of", &self.path)
    }

    /// Writes limits. Says what could not be limited.
    pub fn limit(&self, resources: &Resources) -> Result<Vec<String>, Error> {
        limits::write(self, resources)
    }

    /// Moves a process in.
    pub fn add(&self, pid: i32) -> Result<(), Error> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// Freezes or thaws all processes and waits until that is so.
    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let wanted = if frozen { 1 } else { 0 };
        self.write("cgroup.freeze", &wanted.to_string())?;
        let deadline = Instant::now() + FREEZE_DEADLINE;
        let path = self.path.join("cgroup.events");
        let events = std::fs::File::open(&path).at("open", &path)?;
        while self.key("cgroup.events", "frozen") != Some(wanted) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Invalid(
                    "the container's processes did not freeze in time".into(),
                ));
            }
            // The kernel signals a change of the file as exceptional; the short timeout covers one
            // that came between the read and the poll.
            let flags = rustix::event::PollFlags::PRI;
            let mut poll = [rustix::event::PollFd::new(&events, flags)];
            let timeout = left.min(Duration::from_millis(10));
            let timeout = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: i64::from(timeout.subsec_nanos()),
            };
            let _ = rustix::event::poll(&mut poll, Some(&timeout));
        }
        Ok(())
    }

    /// Kills every process in it with SIGKILL.
    pub fn kill(&self) -> Result<(), Error> {
        self.write("cgroup.kill", "1")
    }

    /// How many processes the kernel has killed in it for memory.
    pub fn oom_kills(&self) -> u64 {
        self.key("memory.events", "oom_kill").unwrap_or(0)
    }

    /// Whether any process is left in it.
    pub fn is_populated(&self) -> bool {
        self.key("cgroup.events", "populated") == Some(1)
    }

    /// Removes it and the cgroups that the container made below it. Fails while a process is left.
    pub fn remove(&self) -> Result<(), Error> {
        remove_tree(&self.path)
    }

    fn key(&self, file: &str, key: &str) -> Option<u64> {
        let text = std::fs::read_to_string(self.path.join(file)).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
    }

    fn write(&self, file: &str, value: &str) -> Result<(), Error> {
        let path = self.path.join(file);
        std::fs::write(&path, value).at("write", &path)
    }
}

fn remove_tree(path: &Path) -> Result<(), Error> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.at("list the cgroup", path)?,
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    std::fs::remove_dir(path).at("remove the cgroup", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_unified_and_hybrid_mounts() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
            38 31 0:35 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(
            parse_mountinfo(hybrid),
            Some("/sys/fs/cgroup/unified".into())
        );
        assert_eq!(parse_mountinfo("31 23 0:28 / /x rw - tmpfs tmpfs rw"), None);
    }
}
