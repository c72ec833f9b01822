//! The two trees of the machine: the initramfs, which reaches the root disk, and the root itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::lists::{Lists, collect_files};
use super::modules::{Module, Modules};
use super::programs::{self, AGENT, HELLO, WARDEN};
use super::tree::Tree;
use super::{hello, read};
use crate::packages::Package;
use crate::progress;
use crate::project::Project;

/// Fixed, since a random one would change the bytes of every build.
const FILE_SYSTEM_ID: &str = "5c1b3a52-51bd-4e1c-9d0a-736c69707761";

/// The initramfs: the warden as `/init`, and the modules for the root disk.
pub(crate) fn initramfs(modules: &Modules, lists: &Lists, warden: Vec<u8>) -> Result<Tree> {
    let mut tree = Tree::default();
    for directory in ["dev", "proc", "sys", "run", "root"] {
        tree.directory(directory, 0o755);
    }
    tree.file("init", warden, 0o755);
    let order = modules.load_order(&lists.initramfs_modules, &[])?;
    add_modules(
        &mut tree,
        &modules.release,
        "lib/modules",
        "modules.load",
        order,
    );
    Ok(tree)
}

/// The root.
pub(crate) fn root(
    project: &Project,
    modules: &Modules,
    lists: &Lists,
    packages: &[Package],
) -> Result<Tree> {
    let mut tree = lists.tree.clone();
    programs::add(&mut tree, &lists.programs, packages)?;
    for program in [WARDEN, AGENT] {
        tree.file(
            &format!("usr/sbin/{program}"),
            read(&project.guest_programs().join(program))?,
            0o755,
        );
    }
    let loaded = modules.load_order(&lists.initramfs_modules, &[])?;
    let order = modules.load_order(&lists.root_modules, &loaded)?;
    add_modules(
        &mut tree,
        &modules.release,
        "usr/lib/modules",
        "usr/lib/modules.load",
        order,
    );
    tree.file(
        "images/hello.tar",
        hello::archive(&read(&project.guest_programs().join(HELLO))?)?,
        0o644,
    );
    tree.file(
        "etc/ssl/certs/ca-certificates.crt",
        certificates(packages)?,
        0o644,
    );
    if !tree.contains("usr/lib64/ld-linux-x86-64.so.2") {
        bail!("the root has no loader: are all programs in vm-image/tree.txt static?");
    }
    Ok(tree)
}

/// Adds the modules and the list of their paths in load order.
fn add_modules(tree: &mut Tree, release: &str, directory: &str, list: &str, order: Vec<Module>) {
    let mut paths = String::new();
    for module in order {
        let name = format!("{release}/{}.ko", module.name);
        paths.push_str(&format!("/lib/modules/{name}\n"));
        tree.file(&format!("{directory}/{name}"), module.bytes, 0o644);
    }
    tree.file(list, paths.into_bytes(), 0o644);
}

/// Every certificate of the package ca-certificates, one after the other.
fn certificates(packages: &[Package]) -> Result<Vec<u8>> {
    const DIRECTORY: &str = "usr/share/ca-certificates";
    let Some(package) = packages
        .iter()
        .find(|package| package.name == "ca-certificates")
    else {
        bail!("vm-image/packages.txt must name ca-certificates");
    };
    let mut files = Vec::new();
    collect_files(&package.root.join(DIRECTORY), &mut files)?;
    let mut bundle = Vec::new();
    for file in files
        .iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "crt"))
    {
        bundle.extend(read(file)?);
    }
    if bundle.is_empty() {
        bail!(
            "{} has no certificates in {DIRECTORY}",
            package.root.display()
        );
    }
    Ok(bundle)
}

/// Writes the root as an EROFS image. It is not compressed: read under an emulated processor,
/// stored pages come faster than packed ones, and a download is packed as a whole, which is smaller.
pub(crate) fn write_erofs(tree: &Tree, path: &Path) -> Result<()> {
    let stage = path.with_extension("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("removing {}", stage.display()))?;
    }
    tree.write_to(&stage)?;
    let partial = path.with_extension("partial");
    if partial.exists() {
        fs::remove_file(&partial).with_context(|| format!("removing {}", partial.display()))?;
    }
    progress::output(
        Command::new("mkfs.erofs")
            .args(["-T0", "-U", FILE_SYSTEM_ID, "--all-root", "-x-1"])
            .arg(&partial)
            .arg(&stage),
    )
    .context("is the package erofs-utils installed? `cargo xtask setup` installs it")?;
    fs::remove_dir_all(&stage).with_context(|| format!("removing {}", stage.display()))?;
    fs::rename(&partial, path).with_context(|| format!("renaming to {}", path.display()))
}
