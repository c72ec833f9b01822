//! The warden as PID 1 of the machine, from the kernel's first program to the power switch.

mod alone;
mod cmdline;
mod disk;
mod initramfs;
mod modules;
mod mounts;
mod network;
mod order;
mod power;
mod snapshot;
mod tuning;

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::Path;

use crate::console;
use crate::error::{Error, PathContext};
use crate::kept::Program;
use crate::supervisor::Supervisor;

pub use modules::{await_loaded, load_in_background};
pub use power::give_up;

use cmdline::Settings;

/// Our own program in the root, for children.
const SELF: &str = "/sbin/slipway-warden";

/// The engine's program.
const AGENT: &str = "/sbin/slipway-agent";

/// What leads published ports to containers: the engine's program by another name.
const PORTS: &str = "/sbin/slipway-ports";

/// The engine's state, on the data disk.
const STATE: &str = "/var/lib/slipway";

/// The engine's run-time files, in memory.
const RUN: &str = "/run/slipway";

/// Brings the machine up, lives its life, and switches it off.
pub fn run() -> Result<Infallible, Error> {
    if initramfs::is_root() {
        return initramfs::leave();
    }
    // Page by page, both would take a tenth of a second to come from the disk.
    read_ahead(SELF);
    read_ahead(AGENT);
    mounts::kernel_file_systems()?;
    mounts::connect_console();
    let mut settings = Settings::read()?;
    mounts::runtime_file_systems()?;
    if settings.emulated {
        tuning::keep_limited();
    }
    let mut prepared = false;
    if let Some(port) = &settings.snapshot {
        settings = snapshot::wait(port)?;
        prepared = true;
    } else if let Some(port) = &settings.start {
        settings = order::receive(port, None)?;
    }
    console::step("linux");
    // The engine takes longest to come up, so it begins first; what it asks is answered once the
    // rest is done.
    tuning::raise_limits();
    let mut supervisor = Supervisor::new(agent(&settings.link))?;
    supervisor.announce_engine();
    supervisor.start_agent();
    if let Some(link) = &settings.ports {
        supervisor.keep_ports(ports(link));
    }
    if !prepared {
        modules::load_list(Path::new("/lib/modules.disk"), |_| {});
    }
    disk::mount_data(&settings.data, Path::new(STATE))?;
    std::fs::create_dir_all(RUN).at("make", RUN)?;
    supervisor.find_cgroups();
    console::step("storage");
    rustix::system::sethostname(b"slipway").map_err(|source| Error::Kernel {
        step: "set the host name",
        source,
    })?;
    if !prepared {
        tuning::set_kernel();
        // Nobody waits for the rest of the modules yet; who needs one early does (see `modules`).
        supervisor.wait_for(modules::start_loader()?);
    }
    let outcome = supervisor.run();
    if let Err(error) = &outcome {
        console::failed(&error.in_full());
    }
    power::off()
}

/// Has the kernel read a program in the background, in a few large pieces.
fn read_ahead(program: &str) {
    if let Ok(file) = std::fs::File::open(program) {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::WillNeed);
    }
}

/// What an ioctl answered.
fn kernel_took(result: libc::c_int) -> std::io::Result<()> {
    if result == 0 {
        return Ok(());
    }
    Err(std::io::Error::last_os_error())
}

fn agent(link: &str) -> Program {
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
    program(AGENT, &args)
}

fn ports(link: &str) -> Program {
    Program {
        // What a connection carries is allocated piece by piece: memory that is given back and taken anew
        // for each would cost a fault for each of its pages.
        environment: &[("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=4194304")],
        ..program(PORTS, &["ports", "--link", link])
    }
}

fn program(path: &str, args: &[&str]) -> Program {
    Program {
        path: path.into(),
        args: args.iter().map(OsString::from).collect(),
        environment: &[("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root")],
    }
}
