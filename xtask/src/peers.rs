//! Other people's engines and clients in trees of their own below `target`, from the suite of the other
//! tools. Nothing is installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages::Suite;
use crate::progress::{run, step};
use crate::project::Project;
use crate::setup;

/// Docker's daemon, with its containerd and runc, and what it mounts and unmounts with.
const DOCKERD: [&str; 2] = ["docker.io", "busybox-static"];

/// A tree with Docker's daemon and all that it needs.
pub(crate) fn dockerd(project: &Project) -> Result<PathBuf> {
    let root = tree(
        project,
        "peers",
        "Docker's daemon, to measure against",
        &DOCKERD,
    )?;
    // Debian chooses these two when the package is configured.
    for name in ["iptables", "ip6tables"] {
        let link = root.join("usr/sbin").join(name);
        if !link.is_symlink() {
            symlink(format!("{name}-nft"), &link)
                .with_context(|| format!("linking {}", link.display()))?;
        }
    }
    Ok(root)
}

/// A tree with crun, the quickest of the other runtimes, which needs the machine's cgroups.
pub(crate) fn crun(project: &Project) -> Result<PathBuf> {
    let packages = ["crun", "busybox-static"];
    tree(project, "crun", "crun, to measure against", &packages)
}

/// A tree with skopeo.
pub(crate) fn skopeo(project: &Project) -> Result<PathBuf> {
    tree(
        project,
        "skopeo",
        "skopeo, to exchange images with",
        &["skopeo"],
    )
}

/// A tree with a QEMU that can emulate virtualization: before version 10 it can't.
pub(crate) fn qemu(project: &Project) -> Result<PathBuf> {
    let packages = ["qemu-system-x86"];
    tree(project, "qemu", "QEMU, to emulate a computer", &packages)
}

/// A tree of packages and all that they need.
fn tree(project: &Project, name: &str, what: &str, packages: &[&str]) -> Result<PathBuf> {
    let suite = Suite::new(project, setup::TOOLS_SUITE);
    let names = suite.closure(packages)?;
    let packages = suite.fetch(&names, false)?;
    let root = project.target.join(name);
    let stamp = root.join("packages");
    let mark: String = packages
        .iter()
        .map(|package| format!("{} {}\n", package.name, package.version))
        .collect();
    if fs::read_to_string(&stamp).is_ok_and(|found| found == mark) {
        return Ok(root);
    }
    step(what, || {
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("removing {}", root.display()))?;
        }
        lay_out(&root).with_context(|| format!("laying out {}", root.display()))?;
        for package in &packages {
            run(Command::new("cp")
                .arg("-a")
                .arg(package.root.join("."))
                .arg(&root))?;
        }
        fs::write(&stamp, &mark).with_context(|| format!("writing {}", stamp.display()))
    })?;
    Ok(root)
}

/// The directories and links that packages expect, and those to mount on.
fn lay_out(root: &Path) -> std::io::Result<()> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(name))?;
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    for name in ["proc", "sys", "dev", "run", "tmp", "etc", "root", "old"] {
        fs::create_dir(root.join(name))?;
    }
    Ok(())
}
