//! Root file systems of real applications, made from Debian packages by mmdebstrap, which configures
//! the packages as an installation does. Tests import them as images.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages;
use crate::progress::{run, step};
use crate::project::Project;

/// Debian's suite.
const SUITE: &str = "trixie";

/// An archive's name, and the packages beside a minimal system.
const APPLICATIONS: [(&str, &str); 5] = [
    ("minbase", ""),
    ("nginx", "nginx-light"),
    ("python", "python3-minimal,libpython3-stdlib"),
    ("postgres", "postgresql"),
    ("load", "iperf3,wrk"),
];

/// Makes what is missing; the folder with the archives.
pub(crate) fn archives(project: &Project) -> Result<PathBuf> {
    let folder = project.target.join("applications");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for (name, packages) in APPLICATIONS {
        let archive = folder.join(format!("{name}.tar"));
        let stamp = folder.join(format!("{name}.packages"));
        let mark = format!("{SUITE} {packages}\n");
        if archive.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == mark) {
            continue;
        }
        step(&format!("the application {name}"), || {
            let partial = folder.join(format!("{name}.partial.tar"));
            // Its mounts are to go with it.
            let mut command = Command::new("unshare");
            command.args(["--mount", "mmdebstrap", "--quiet", "--variant=minbase"]);
            if !packages.is_empty() {
                command.arg(format!("--include={packages}"));
            }
            run(command.arg(SUITE).arg(&partial).arg(packages::mirror()?))?;
            fs::rename(&partial, &archive)
                .with_context(|| format!("renaming to {}", archive.display()))?;
            fs::write(&stamp, &mark).with_context(|| format!("writing {}", stamp.display()))
        })?;
    }
    Ok(folder)
}
