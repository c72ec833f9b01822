//! Kernel modules. The second, longer list loads in a child of its own beside the rest of the
//! boot. Whoever needs a module earlier (the engine making its bridge, a mount of overlay) makes
//! the kernel ask for it; the kernel then runs this program as its `modprobe`, which waits until
//! the child is through. So nothing has to know which modules it needs, and nothing races.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::network;
use crate::console;
use crate::error::{Error, PathContext};

/// The list in the root.
const LIST: &str = "/lib/modules.load";

/// Exists once the list is loaded.
const LOADED: &str = "/run/modules-loaded";

/// The kernel's setting that names the program to ask for modules.
const MODPROBE: &str = "/proc/sys/kernel/modprobe";

/// The longest that the kernel is made to wait for a module.
const PATIENCE: Duration = Duration::from_secs(10);

/// Loads the modules that a file lists, one path a line, in order; `after` sees each one.
pub(super) fn load_list(list: &Path, mut after: impl FnMut(&str)) {
    let text = match std::fs::read_to_string(list) {
        Ok(text) => text,
        Err(error) => {
            console::note(&format!("cannot read {}: {error}", list.display()));
            return;
        }
    };
    for path in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // A device that this machine lacks (ENODEV) needs no driver.
        match load(path) {
            Ok(()) | Err(Errno::EXIST | Errno::NODEV) => {}
            Err(errno) => console::note(&format!("cannot load {path}: {errno}")),
        }
        after(path);
    }
}

fn load(path: &str) -> Result<(), Errno> {
    let module = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::system::finit_module(&module, c"", 0)
}

/// Starts the child that loads the second list and brings the network up; its pid. It stands back
/// for the engine, which comes up meanwhile.
pub(super) fn start_loader() -> Result<u32, Error> {
    std::fs::write(MODPROBE, super::SELF).at("write", MODPROBE)?;
    let child = Command::new(super::SELF)
        .arg("--load-modules")
        .spawn()
        .at("execute", super::SELF)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    let _ = rustix::process::setpriority_process(pid, 19);
    Ok(child.id())
}

/// The child's work.
pub fn load_in_background() -> Result<(), Error> {
    let mut network_up = false;
    load_list(Path::new(LIST), |_| {
        if !network_up && network::has_card() {
            network_up = bring_up();
        }
    });
    if !network_up {
        bring_up();
    }
    // Packets that only cross a bridge are no business of the firewall: ports of a bridge that are
    // not to see each other are isolated, and filtering takes a fifth of a stream's speed.
    for family in ["iptables", "ip6tables"] {
        let setting = format!("/proc/sys/net/bridge/bridge-nf-call-{family}");
        if let Err(error) = std::fs::write(&setting, "0") {
            console::note(&format!("cannot set {setting}: {error}"));
        }
    }
    // From now on there is nothing to wait for, and nothing else that could be loaded.
    std::fs::write(LOADED, "").at("write", LOADED)?;
    std::fs::write(MODPROBE, "\n").at("write", MODPROBE)
}

fn bring_up() -> bool {
    match network::bring_up() {
        Ok(()) => true,
        Err(error) => {
            console::note(&error.in_full());
            false
        }
    }
}

/// Called by the kernel in place of `modprobe`: returns when the list is loaded.
pub fn await_loaded() {
    let deadline = Instant::now() + PATIENCE;
    while !Path::new(LOADED).exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}
