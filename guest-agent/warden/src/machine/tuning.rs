//! Limits and kernel settings of the machine. The kernel's defaults are for a small system; these
//! are what containers find under Docker elsewhere, and what databases refuse to start without.

use std::path::Path;

use runtime::cgroup::Hierarchy;
use runtime::spec::Resources;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::alone::alone;
use crate::console;

/// Files under `/proc/sys` and their values.
const SETTINGS: [(&str, &str); 5] = [
    ("vm/max_map_count", "262144"),
    ("fs/inotify/max_user_instances", "8192"),
    ("fs/inotify/max_user_watches", "524288"),
    ("kernel/keys/maxkeys", "100000"),
    ("kernel/keys/maxbytes", "2500000"),
];

/// Open files of every process that sets nothing else, as dockerd's service file has it.
const OPEN_FILES: u64 = 1_048_576;

/// A cgroup without processes that has every controller, a limit of processor time and a device filter.
/// The first of each makes the kernel change its running code, and the last to go changes it back, which
/// emulation of several processors does not survive every time: another one may be translating that code
/// just then (QEMU 7). So there this one is made while the others are held, and stays.
const LIMITED: &str = "limited";

/// Sets them all. None is worth not starting for.
pub(super) fn set_kernel() {
    for (name, value) in SETTINGS {
        if let Err(error) = std::fs::write(format!("/proc/sys/{name}"), value) {
            console::note(&format!("cannot set {name}: {error}"));
        }
    }
}

/// Makes the cgroup that stays, on emulated processors.
pub(super) fn keep_limited() {
    if let Err(error) = alone(make_limited) {
        console::note(&format!("cannot make the cgroup {LIMITED}: {error}"));
    }
}

fn make_limited() -> Result<(), runtime::Error> {
    let one_processor = Resources {
        cpu_quota: Some(100_000),
        cpu_period: Some(100_000),
        ..Resources::default()
    };
    let hierarchy = Hierarchy::find()?;
    let (cgroup, _missing) = hierarchy.create(Path::new(LIMITED), &one_processor)?;
    cgroup.allow_devices(&[])
}

/// Raises the limits that every later process has from us.
pub(super) fn raise_limits() {
    let limit = |value| Rlimit {
        current: value,
        maximum: value,
    };
    for (resource, value) in [
        (Resource::Nofile, Some(OPEN_FILES)),
        (Resource::Nproc, None),
        (Resource::Core, None),
    ] {
        if let Err(errno) = setrlimit(resource, limit(value)) {
            console::note(&format!("cannot raise a limit: {errno}"));
        }
    }
}
