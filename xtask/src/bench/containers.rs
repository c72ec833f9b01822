//! Containers: our engine as it is shipped, without the machine and in it. The measurement itself is
//! `tests/benches/containers`; this gets everything ready for it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages::Suite;
use crate::progress::{run, step};
use crate::project::{GUEST_TARGET, Project, cargo};
use crate::setup::{self, Need};
use crate::{build, image};

/// Docker's daemon, with its containerd and runc, and what it mounts and unmounts with.
const DOCKERD: [&str; 2] = ["docker.io", "busybox-static"];
/// The quickest of the other runtimes, which needs the machine's cgroups.
const CRUN: [&str; 2] = ["crun", "busybox-static"];

/// Prepares and runs the measurement.
pub(super) fn bench(project: &Project, rounds: u32, as_built: bool) -> Result<()> {
    setup::system(&[Need::Build, Need::Image, Need::Machine, Need::Tests])?;
    setup::tools(project)?;
    if !as_built {
        build::guest(project)?;
        build::host(project, false)?;
        image::ensure(project, false, false)?;
    }
    let floor = step("the floor", || floor(project))?;
    let peers = peers(project)?;
    let crun = tree(project, "crun", "crun, to measure against", &CRUN)?;
    run(Command::new(cargo())
        .current_dir(&project.root)
        .args([
            "bench",
            "--quiet",
            "--package",
            "tests",
            "--bench",
            "containers",
        ])
        .env("SLIPWAY_BENCH_ROUNDS", rounds.to_string())
        .env("SLIPWAY_BENCH_FLOOR", floor)
        .env("SLIPWAY_PEERS", peers)
        .env("SLIPWAY_CRUN", crun)
        .env("SLIPWAY_BIN_DIR", project.host_programs())
        .env("SLIPWAY_IMAGE_DIR", project.image())
        .env("SLIPWAY_TEST_TOOLS", project.tools())
        .env("SLIPWAY_GUEST_DIR", project.guest_programs()))
}

/// The bare system calls, built as the engine is.
fn floor(project: &Project) -> Result<PathBuf> {
    run(Command::new(cargo())
        .current_dir(&project.root)
        .args(["build", "--quiet", "--release", "--target", GUEST_TARGET])
        .args(["--package", "runtime", "--example", "floor"]))?;
    Ok(project.guest_programs().join("examples/floor"))
}

/// A tree with Docker's daemon and all that it needs, from the suite of the other tools. Nothing
/// is installed.
pub(crate) fn peers(project: &Project) -> Result<PathBuf> {
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

/// A tree with skopeo.
pub(crate) fn skopeo(project: &Project) -> Result<PathBuf> {
    tree(
        project,
        "skopeo",
        "skopeo, to exchange images with",
        &["skopeo"],
    )
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
