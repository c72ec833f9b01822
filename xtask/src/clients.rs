//! Other people's clients for tests: docker-py with its own tests, Testcontainers and the Dev
//! Containers command, in folders of their own under `target/tools`; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::progress::{run, step};
use crate::project::Project;

/// Python's, with versions: what they do is known to work with these.
const PYTHON: &[&str] = &["docker==7.1.0", "testcontainers==4.13.3"];
/// The last source package of docker-py that its own tests came with.
const SUITE: &str = "docker==6.1.3";
/// What those tests run with.
const SUITES_NEEDS: &[&str] = &[
    "pytest==7.4.4",
    "pytest-timeout==2.3.1",
    "paramiko==3.5.1",
    "requests==2.31.0",
    "urllib3==1.26.20",
    "websocket-client==1.8.0",
    "packaging==24.2",
];

/// Node's.
const DEV_CONTAINERS: &[&str] = &["@devcontainers/cli@0.89.0"];

/// Fetches the packages, if that was not done yet.
pub(crate) fn fetch(project: &Project) -> Result<()> {
    let beside = |name: &str| project.tools().with_file_name(name);
    once(
        &beside("python"),
        "Python's clients for tests",
        PYTHON,
        |folder| install(project, folder, PYTHON),
    )?;
    once(
        &beside("devcontainers"),
        "the Dev Containers command",
        DEV_CONTAINERS,
        |folder| {
            run(Command::new("npm")
                .args(["install", "--silent", "--no-audit", "--no-fund"])
                .args(["--no-save", "--ignore-scripts", "--prefix"])
                .arg(folder)
                .args(DEV_CONTAINERS))
        },
    )?;
    let marks = [&[SUITE], SUITES_NEEDS].concat();
    once(
        &beside("docker-py"),
        "docker-py's own tests",
        &marks,
        |folder| {
            install(project, &folder.join("needs"), SUITES_NEEDS)?;
            let sources = folder.join("sources");
            run(pip(project, "download")
                .args(["--no-deps", "--no-binary", "docker"])
                .arg("--dest")
                .arg(&sources)
                .arg(SUITE))?;
            run(Command::new("tar")
                .args(["-x", "--strip-components=1", "-C"])
                .arg(folder)
                .arg("-f")
                .arg(only_file(&sources)?))
        },
    )
}

/// Fills a folder, unless it was filled with the same.
pub(crate) fn once(
    folder: &Path,
    what: &str,
    packages: &[&str],
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let stamp = folder.join("packages");
    let mark = packages.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == mark) {
        return Ok(());
    }
    step(what, || {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        fill(folder)?;
        fs::write(&stamp, &mark).with_context(|| format!("writing {}", stamp.display()))
    })
}

/// Not an environment of its own: those break when the folder is moved.
fn install(project: &Project, folder: &Path, packages: &[&str]) -> Result<()> {
    run(pip(project, "install")
        .arg("--root-user-action=ignore")
        .arg("--target")
        .arg(folder)
        .args(packages))
}

/// The file that pip has put into a folder.
pub(crate) fn only_file(folder: &Path) -> Result<PathBuf> {
    let reading = || format!("reading {}", folder.display());
    let first = fs::read_dir(folder).with_context(reading)?.next();
    let first = first.with_context(|| format!("pip put nothing into {}", folder.display()))?;
    Ok(first.with_context(reading)?.path())
}

/// pip, with downloads kept in the cache.
pub(crate) fn pip(project: &Project, verb: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-m", "pip", verb, "--quiet", "--no-input"])
        .arg("--disable-pip-version-check")
        .arg("--cache-dir")
        .arg(project.cache.join("pip"));
    command
}
