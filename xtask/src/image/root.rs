//! The root of the machine: its tree, and the file system that holds it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::lists::{Lists, collect_files};
use super::modules::{Module, Modules};
use super::programs::{self, AGENT, HELLO, WARDEN};
use super::tree::{Node, Tree};
use super::{cpio, hello, read};
use crate::packages::Package;
use crate::progress;
use crate::project::Project;

/// Bytes in a block of the file system: a page.
const BLOCK: u64 = 4096;

/// The root.
pub(crate) fn root(
    project: &Project,
    modules: &Modules,
    lists: &Lists,
    packages: &[Package],
) -> Result<Tree> {
    let mut tree = lists.tree.clone();
    programs::add(&mut tree, project.guest, &lists.programs, packages)?;
    for program in [WARDEN, AGENT] {
        tree.file(
            &format!("usr/sbin/{program}"),
            read(&project.guest_programs().join(program))?,
            0o755,
        );
    }
    let first = modules.load_order(&lists.disk_modules, &[])?;
    let rest = modules.load_order(&lists.root_modules, &first)?;
    add_modules(&mut tree, &modules.release, "usr/lib/modules.disk", first);
    add_modules(&mut tree, &modules.release, "usr/lib/modules.load", rest);
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
    Ok(tree)
}

/// The first root of machines whose root is not an NVMe disk: the warden as the kernel's init, and
/// the modules that reach disks.
pub(crate) fn initramfs(project: &Project, modules: &Modules, lists: &Lists) -> Result<Vec<u8>> {
    let mut tree = Tree::default();
    tree.link("lib", "usr/lib");
    tree.file("init", read(&project.guest_programs().join(WARDEN))?, 0o755);
    let disk = modules.load_order(&lists.disk_modules, &[])?;
    add_modules(&mut tree, &modules.release, "modules.initramfs", disk);
    cpio::archive(&tree)
}

/// Adds the modules and the list of their paths in load order.
fn add_modules(tree: &mut Tree, release: &str, list: &str, order: Vec<Module>) {
    let mut paths = String::new();
    for module in order {
        let path = format!("lib/modules/{release}/{}.ko", module.name);
        paths.push_str(&format!("/{path}\n"));
        tree.file(&format!("usr/{path}"), module.bytes, 0o644);
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

/// Writes the root as an ext2 image, which the kernel reads without a module. It is not compressed:
/// read under an emulated processor, stored pages come faster than packed ones, and a download is
/// packed as a whole, which is smaller.
pub(crate) fn write_ext2(tree: &Tree, path: &Path) -> Result<()> {
    let stage = path.with_extension("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("removing {}", stage.display()))?;
    }
    tree.write_to(&stage)?;
    // The times go into the image. One of access in the future stays as it is when a file is read.
    for (which, time) in [("-m", "@0"), ("-a", "2037-01-01 UTC")] {
        progress::run(Command::new("find").arg(&stage).args([
            "-depth", "-exec", "touch", "-h", which, "-d", time, "{}", "+",
        ]))?;
    }
    let partial = path.with_extension("partial");
    if partial.exists() {
        fs::remove_file(&partial).with_context(|| format!("removing {}", partial.display()))?;
    }
    let (blocks, inodes) = size(tree);
    progress::output(
        Command::new("genext2fs")
            .args(["--block-size", &BLOCK.to_string()])
            .args(["--size-in-blocks", &blocks.to_string()])
            .args(["--number-of-inodes", &inodes.to_string()])
            .args([
                "--reserved-percentage",
                "0",
                "--volume-label",
                "slipway-root",
            ])
            .args(["--faketime", "--squash-uids", "--root"])
            .arg(&stage)
            .arg(&partial),
    )
    .context("is the package genext2fs installed? `cargo xtask setup` installs it")?;
    fs::remove_dir_all(&stage).with_context(|| format!("removing {}", stage.display()))?;
    fs::rename(&partial, path).with_context(|| format!("renaming to {}", path.display()))
}

/// How many blocks and inodes the tree needs, with what the file system needs for itself.
fn size(tree: &Tree) -> (u64, u64) {
    let (mut blocks, mut inodes) = (0, 0);
    for (_, node) in tree.entries() {
        let bytes = match node {
            Node::File(bytes, _) => bytes.len() as u64,
            Node::Directory(_) | Node::Link(_) => BLOCK,
        };
        blocks += bytes.div_ceil(BLOCK);
        inodes += 1;
    }
    // A block of pointers for each thousand blocks, bitmaps, the table of inodes.
    (blocks + blocks / 500 + inodes / 16 + 64, inodes + 32)
}
