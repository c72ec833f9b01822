//! The first root of a machine that has no NVMe disk (`SNAPSHOT` in slipwayd's arguments): it holds
//! the warden and the modules that reach the real root, and is left at once.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::mount::{MountFlags, mount, mount_move};

use super::{SELF, disk, modules, mounts};
use crate::error::{Context, Error, PathContext};

/// The modules in load order; nothing else has this file.
const MODULES: &str = "/modules.initramfs";

/// The real root: the disk after the data disk.
const ROOT: &str = "/dev/vdb";

/// Whether this program runs from it.
pub(super) fn is_root() -> bool {
    Path::new(MODULES).exists()
}

/// Goes on from the real root.
pub(super) fn leave() -> Result<Infallible, Error> {
    mounts::devices()?;
    mounts::connect_console();
    modules::load_list(Path::new(MODULES), |_| {});
    let root = Path::new(ROOT);
    disk::wait_for(root)?;
    std::fs::create_dir_all("/root").at("make", "/root")?;
    mount(root, "/root", "ext4", MountFlags::RDONLY, c"").at("mount", root)?;
    // Its memory is given back with the files.
    let _ = std::fs::remove_file("/init");
    rustix::process::chdir("/root").at("enter", "/root")?;
    mount_move(".", "/").step("make the disk the root")?;
    rustix::process::chroot(".").step("make the disk the root")?;
    let failed = Command::new(SELF).exec();
    Err(failed).at("execute", SELF)
}
