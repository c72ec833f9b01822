//! `cargo xtask image`: the machine's image from Debian packages, our programs and the lists in
//! `vm-image/`. Everything is assembled in memory in a fixed order, so that the same inputs give
//! the same bytes.

mod cpio;
mod hello;
mod kernel;
mod lists;
mod manifest;
mod modules;
mod programs;
mod root;
pub(crate) mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::arch::Arch;
use crate::packages::{Package, Suite};
use crate::progress::{say, step};
use crate::project::Project;
use lists::Lists;

/// The files of an image, beside its manifest.
pub(crate) const FILES: [&str; 3] = ["vmlinux", "root.ext2", "initramfs.cpio"];

/// How the name of the kernel's own package begins.
const KERNEL_PREFIX: &str = "linux-image-6";

/// How to build the image.
#[derive(Args)]
pub(crate) struct Options {
    /// Ask the mirror for newer packages first
    #[arg(long)]
    update: bool,
    /// Build twice, in two places, and compare the bytes
    #[arg(long)]
    check_reproducible: bool,
    /// Build even when nothing changed
    #[arg(long)]
    force: bool,
    /// The machine's processor, if not this computer's
    #[arg(long, value_enum, default_value_t = Arch::NATIVE)]
    arch: Arch,
}

impl Options {
    /// The project whose machine it is.
    pub(crate) fn of(&self, project: &Project) -> Project {
        project.with_guest(self.arch)
    }
}

/// What an image is made of, found but not yet assembled.
struct Inputs {
    lists: Lists,
    packages: Vec<Package>,
    kernel: Package,
    /// A digest of everything that decides the bytes.
    digest: String,
}

/// `cargo xtask image`.
pub(crate) fn command(project: &Project, options: &Options) -> Result<()> {
    crate::build::guest(project)?;
    if options.check_reproducible {
        return check_reproducible(project, options.update);
    }
    ensure(project, options.update, options.force)?;
    manifest::print_sizes(&project.image())
}

/// Builds the image unless it is up to date. The guest's programs must have been built.
pub(crate) fn ensure(project: &Project, update: bool, force: bool) -> Result<()> {
    let inputs = step("packages for the image", || gather(project, update))?;
    if project.guest == Arch::NATIVE {
        bundle_for_native(project)?;
    }
    let into = project.image();
    if !force && manifest::is_current(&into, &inputs.digest) {
        say(format_args!(
            "==> the image in {} is up to date",
            into.display()
        ));
        return Ok(());
    }
    step("the machine's image", || assemble(project, &inputs, &into))
}

/// The engine without a machine finds the bundled image beside its program.
fn bundle_for_native(project: &Project) -> Result<()> {
    let archive = hello::archive(&read(&project.guest_programs().join(programs::HELLO))?)?;
    for programs in [project.guest_programs(), project.host_programs()] {
        let folder = programs.join("images");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        write(&folder.join("hello.tar"), &archive)?;
    }
    Ok(())
}

/// The busybox for the machine's processor, which its tests run.
pub(crate) fn busybox(project: &Project) -> Result<PathBuf> {
    let lists = Lists::read(&project.root.join("vm-image"))?;
    let package = Suite::of(project, &lists.suite, project.guest)
        .fetch(&["busybox-static".to_owned()], false)?
        .remove(0);
    Ok(package.root.join("usr/bin/busybox"))
}

/// Builds the image in two directories and compares every file.
pub(crate) fn check_reproducible(project: &Project, update: bool) -> Result<()> {
    let inputs = step("packages for the image", || gather(project, update))?;
    let places = ["image-check-1", "image-check-2"].map(|name| project.target.join(name));
    for place in &places {
        step(&format!("an image in {}", place.display()), || {
            assemble(project, &inputs, place)
        })?;
    }
    for file in FILES.iter().chain(&[manifest::NAME]) {
        let [first, second] = [&places[0], &places[1]].map(|place| read(&place.join(file)));
        let (first, second) = (first?, second?);
        if first != second {
            let at = first
                .iter()
                .zip(&second)
                .position(|(a, b)| a != b)
                .unwrap_or(first.len().min(second.len()));
            bail!(
                "{file} differs between two builds, first at byte {at}: compare the two in {}",
                project.target.display()
            );
        }
        say(format_args!("    {file}: the same {} bytes", first.len()));
    }
    for place in &places {
        fs::remove_dir_all(place).with_context(|| format!("removing {}", place.display()))?;
    }
    say("the image is reproducible");
    Ok(())
}

fn gather(project: &Project, update: bool) -> Result<Inputs> {
    let lists = Lists::read(&project.root.join("vm-image"))?;
    let suite = Suite::of(project, &lists.suite, project.guest);
    let kernel = kernel_package(&suite, project.guest, &lists.kernel, update)?;
    let packages = suite.fetch(&lists.packages, update)?;

    let mut parts = vec![lists.digest.clone(), kernel.sha256.clone()];
    parts.push(project.guest.debian().to_owned());
    parts.extend(packages.iter().map(|package| package.sha256.clone()));
    for program in [programs::WARDEN, programs::AGENT, programs::HELLO] {
        parts.push(sha256(&read(&project.guest_programs().join(program))?));
    }
    // The builder itself decides the bytes too.
    let mut sources = Vec::new();
    lists::collect_files(&project.root.join("xtask/src/image"), &mut sources)?;
    for source in &sources {
        parts.push(sha256(&read(source)?));
    }
    parts.push(hello::created());
    let digest = sha256(parts.join("\n").as_bytes());
    Ok(Inputs {
        lists,
        packages,
        kernel,
        digest,
    })
}

/// The package of the current kernel that a meta-package, named without its architecture, stands for.
fn kernel_package(suite: &Suite, arch: Arch, meta: &str, update: bool) -> Result<Package> {
    let meta = format!("{meta}-{}", arch.debian());
    let name = suite.dependency(&meta, KERNEL_PREFIX, update)?;
    Ok(suite.fetch(&[name], false)?.remove(0))
}

fn assemble(project: &Project, inputs: &Inputs, into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("creating {}", into.display()))?;
    // An interrupted build leaves no manifest, so it is never taken for a whole image.
    manifest::remove(into)?;
    let kernel = kernel::Kernel::open(&inputs.kernel)?;
    write(&into.join("vmlinux"), &kernel.vmlinux()?)?;

    let modules = modules::Modules::open(&kernel)?;
    let tree = root::root(project, &modules, &inputs.lists, &inputs.packages)?;
    root::write_ext2(&tree, &into.join("root.ext2"))?;
    let initramfs = root::initramfs(project, &modules, &inputs.lists)?;
    write(&into.join("initramfs.cpio"), &initramfs)?;
    manifest::write(into, project.guest, inputs, &kernel.release)
}

/// An initramfs, not compressed, with nothing but an init.
pub(crate) fn initramfs_with(init: Vec<u8>) -> Result<Vec<u8>> {
    let mut tree = tree::Tree::default();
    tree.file("init", init, 0o755);
    // The kernel opens it for the init's standard streams; its own tree has it already.
    tree.directory("dev", 0o755);
    cpio::archive(&tree)
}

/// The kernel of a usual computer, from the image's suite.
pub(crate) fn usual_kernel(project: &Project) -> Result<Package> {
    let lists = Lists::read(&project.root.join("vm-image"))?;
    let suite = Suite::of(project, &lists.suite, project.guest);
    kernel_package(&suite, project.guest, "linux-image", false)
}

/// What boots such a computer: its kernel, and an initramfs with busybox, an init and modules, whose order
/// is in `modules/order`.
pub(crate) fn boot_files(
    kernel: &Package,
    wanted: &[&str],
    busybox: Vec<u8>,
    init: Vec<u8>,
) -> Result<[Vec<u8>; 2]> {
    let kernel = kernel::Kernel::open(kernel)?;
    let wanted: Vec<String> = wanted.iter().copied().map(str::to_owned).collect();
    let mut tree = tree::Tree::default();
    let mut order = String::new();
    for module in modules::Modules::open(&kernel)?.load_order(&wanted, &[])? {
        order += &format!("{}\n", module.name);
        let path = format!("modules/{}.ko", module.name);
        tree.file(&path, module.bytes, 0o644);
    }
    tree.file("modules/order", order.into_bytes(), 0o644);
    tree.file("bin/busybox", busybox, 0o755);
    tree.file("init", init, 0o755);
    tree.directory("dev", 0o755);
    Ok([kernel.vmlinux()?, cpio::archive(&tree)?])
}

/// The lower-case hexadecimal SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// Writes a file under another name and renames it: a running machine keeps the old one.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes).with_context(|| format!("writing {}", partial.display()))?;
    fs::rename(&partial, path).with_context(|| format!("renaming to {}", path.display()))
}
