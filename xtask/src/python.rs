//! Python's clients for tests: docker-py and Testcontainers, in a folder of their own under
//! `target/tools`; nothing is installed.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::progress::{run, step};
use crate::project::Project;

/// What tests use, with versions: what they do is known to work with these.
const PACKAGES: [&str; 2] = ["docker==7.1.0", "testcontainers==4.13.3"];

/// Fetches the packages, if that was not done yet.
pub(crate) fn clients(project: &Project) -> Result<()> {
    let folder = project.tools().with_file_name("python");
    let stamp = folder.join("packages");
    let mark = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == mark) {
        return Ok(());
    }
    step("Python's clients for tests", || {
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("removing {}", folder.display()))?;
        }
        // Not an environment of its own: those break when the folder is moved.
        run(Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .args(["--disable-pip-version-check", "--root-user-action=ignore"])
            .arg("--cache-dir")
            .arg(project.cache.join("pip"))
            .arg("--target")
            .arg(&folder)
            .args(PACKAGES))?;
        fs::write(&stamp, &mark).with_context(|| format!("writing {}", stamp.display()))
    })
}
