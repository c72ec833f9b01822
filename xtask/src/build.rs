//! Builds our programs: static release programs for the machine, development programs for the
//! host, the window with its page.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::arch::Arch;
use crate::cross;
use crate::progress::{run, say, step};
use crate::project::{Project, cargo, foreign_guest_programs};
use crate::setup::{self, Need};

/// What runs in the machine.
const GUEST_PACKAGES: [&str; 3] = ["warden", "agent", "hello"];
/// What runs on the person's machine, beside the window.
const HOST_PACKAGES: [&str; 2] = ["cli", "host-service"];
const WINDOW_PACKAGE: &str = "slipway-desktop";

/// Builds the machine's programs, linked statically: the machine has no libraries for them. They have a
/// fixed address too, since relocating 24,000 pointers at each start of the engine takes its time.
pub(crate) fn guest(project: &Project) -> Result<()> {
    if let Some(programs) = foreign_guest_programs() {
        say(format_args!(
            "==> the machine's programs: those in {}",
            programs.display()
        ));
        return Ok(());
    }
    let arch = project.guest;
    if std::env::consts::OS != "linux" {
        bail!(
            "the machine's programs are built on Linux only for now: \
             `cargo xtask image --arch {}` there, then copy its folder to {}",
            arch.debian(),
            project.image().display()
        );
    }
    let target = arch.target();
    let mut command = match arch {
        Arch::NATIVE => Command::new(cargo()),
        other => {
            setup::system(&[Need::Arch(other)])?;
            cross::cargo_for(project, other)?
        }
    };
    step("the machine's programs", || {
        command
            .current_dir(&project.root)
            .args(["build", "--release", "--target", &target]);
        command.arg("--config");
        command.arg(format!(
            "target.{target}.rustflags=[\"-Ctarget-feature=+crt-static\", \"-Crelocation-model=static\"]"
        ));
        for package in GUEST_PACKAGES {
            command.args(["--package", package]);
        }
        run(&mut command)
    })
}

/// Builds the host's programs for development; on Linux also the machine's, which run natively there.
/// With the window it is the whole workspace, as the tests and the lints will ask for it: a
/// smaller choice has other features and would build much of it twice.
pub(crate) fn host(project: &Project, window: bool) -> Result<()> {
    step("the host's programs", || {
        let mut command = Command::new(cargo());
        command.current_dir(&project.root).arg("build");
        if window && std::env::consts::OS == "linux" {
            let others = ["xtask", "tests", "fuzz"];
            command.arg("--workspace");
            command.args(others.iter().flat_map(|name| ["--exclude", name]));
        } else {
            let native = if std::env::consts::OS == "linux" {
                &GUEST_PACKAGES[..]
            } else {
                &[]
            };
            let packages = HOST_PACKAGES.iter().chain(native);
            for package in packages.chain(window.then_some(&WINDOW_PACKAGE)) {
                command.args(["--package", package]);
            }
        }
        run(&mut command)
    })
}

/// Builds the host's programs as they are shipped.
pub(crate) fn shipped(project: &Project, window: bool) -> Result<()> {
    let packages = HOST_PACKAGES
        .iter()
        .chain(window.then_some(&WINDOW_PACKAGE));
    step("the host's programs, as they are shipped", || {
        run(Command::new(cargo())
            .current_dir(&project.root)
            .args(["build", "--release"])
            .args(packages.flat_map(|package| ["--package", package])))
    })
}

/// Builds the window's page when something in it is newer than the last build.
pub(crate) fn page(project: &Project) -> Result<()> {
    let ui = project.root.join("ui");
    let built = newest(&ui.join("dist"), false)?;
    if built.is_some() && built >= newest(&ui, true)? {
        return Ok(());
    }
    step("the window's page", || {
        run(Command::new("npm")
            .current_dir(&ui)
            .args(["run", "--silent", "build"]))
    })
}

/// The newest change below a directory, or nothing if it is not there.
fn newest(directory: &Path, sources: bool) -> Result<Option<SystemTime>> {
    if !directory.is_dir() {
        return Ok(None);
    }
    let mut newest = None;
    for entry in
        fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?
    {
        let entry = entry.with_context(|| format!("listing {}", directory.display()))?;
        let name = entry.file_name();
        if sources
            && ["node_modules", "dist", "dist-mock", "test-results"]
                .iter()
                .any(|skip| name == *skip)
        {
            continue;
        }
        let metadata = entry
            .metadata()
            .with_context(|| format!("examining {}", entry.path().display()))?;
        let time = if metadata.is_dir() {
            self::newest(&entry.path(), sources)?
        } else {
            metadata.modified().ok()
        };
        newest = newest.max(time);
    }
    Ok(newest)
}

/// `cargo xtask build`: everything.
pub(crate) fn everything(project: &Project) -> Result<()> {
    guest(project)?;
    page(project)?;
    host(project, true)
}
