//! Builds our programs: static release programs for the machine, development programs for the host.

use std::process::Command;

use anyhow::{Result, bail};

use crate::progress::{run, say, step};
use crate::project::{GUEST_TARGET, Project, cargo, foreign_guest_programs};

/// What runs in the machine.
const GUEST_PACKAGES: [&str; 3] = ["warden", "agent", "hello"];

/// Builds the machine's programs, linked statically: the machine has no libraries for them.
pub(crate) fn guest(project: &Project) -> Result<()> {
    if let Some(programs) = foreign_guest_programs() {
        say(format_args!(
            "==> the machine's programs: those in {}",
            programs.display()
        ));
        return Ok(());
    }
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        bail!(
            "the machine's programs are built on x86-64 Linux only for now: copy target/image from such a machine"
        );
    }
    step("the machine's programs", || {
        let mut command = Command::new(cargo());
        command
            .current_dir(&project.root)
            .args(["build", "--release", "--target", GUEST_TARGET])
            .args([
                "--config",
                &format!("target.{GUEST_TARGET}.rustflags=[\"-Ctarget-feature=+crt-static\"]"),
            ]);
        for package in GUEST_PACKAGES {
            command.args(["--package", package]);
        }
        run(&mut command)
    })
}
