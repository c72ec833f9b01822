//! The warden as PID 1 of the machine, in two stages. [`boot`] runs from the initramfs: it loads
//! the modules for the root disk, mounts the root, and executes the warden found there, so that
//! the initramfs is given back and the running program is on a read-only disk. [`run`] does the
//! rest and never returns.

mod cmdline;
mod disk;
mod modules;
mod mounts;
mod network;
mod power;
mod tuning;

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::agent::AgentSpec;
use crate::console;
use crate::error::{Error, PathContext};
use crate::supervisor::Supervisor;

pub use modules::{await_loaded, load_in_background};
pub use power::give_up;

use cmdline::Settings;

/// Our own program in the root.
const SELF: &str = "/sbin/slipway-warden";

/// The engine's state, on the data disk.
const STATE: &str = "/var/lib/slipway";

/// The engine's run-time files, in memory.
const RUN: &str = "/run/slipway";

/// First stage: from the initramfs to the root disk. Returns only when that fails.
pub fn boot() -> Result<Infallible, Error> {
    mounts::kernel_file_systems()?;
    mounts::connect_console();
    console::step("linux");
    modules::load_list(Path::new("/modules.load"), |_| {});
    mounts::enter_root_disk("/dev/vda")?;
    let error = Command::new(SELF)
        .arg("--machine")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .exec();
    Err(error).at("execute", SELF)
}

/// Second stage: the machine's life, from the data disk to the power switch.
pub fn run() -> Result<Infallible, Error> {
    let settings = Settings::read()?;
    mounts::runtime_file_systems()?;
    rustix::system::sethostname(b"slipway").map_err(|source| Error::Kernel {
        step: "set the host name",
        source,
    })?;
    tuning::apply();
    std::fs::create_dir_all(RUN).at("make", RUN)?;
    // The engine comes up beside the disk: what it asks first is answered once there is one.
    let mut supervisor = Supervisor::new(agent(&settings.link))?;
    supervisor.announce_engine();
    supervisor.start_agent();
    // Modules load beside both; who needs one early waits for it (see `modules`).
    supervisor.wait_for(modules::start_loader()?);
    disk::mount_data(&settings.data, Path::new(STATE))?;
    console::step("storage");
    let outcome = supervisor.run();
    if let Err(error) = &outcome {
        console::failed(&error.in_full());
    }
    power::off()
}

fn agent(link: &str) -> AgentSpec {
    let args = [
        "--machine",
        "vm",
        "--root",
        STATE,
        "--run",
        RUN,
        "--link",
        link,
        "--bundled-images",
        "/images",
    ];
    AgentSpec {
        program: "/sbin/slipway-agent".into(),
        args: args.map(OsString::from).to_vec(),
    }
}
