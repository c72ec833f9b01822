//! `cargo xtask check --cross`: the parts that run on a person's machine must compile for Windows
//! and macOS. Their standard libraries are built from Debian's rust-src with the nightly toolchain,
//! whose own release need not carry these targets; so is that of machines with another processor.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::arch::Arch;
use crate::packages::Suite;
use crate::progress::{output, run, say, step};
use crate::project::Project;
use crate::setup::{self, Need};

/// The systems beside Linux.
pub(crate) const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];
/// What must compile there.
const PACKAGES: [&str; 4] = ["link", "client", "host-service", "cli"];
/// Debian's suite whose rust-src is near the nightly toolchain.
const SOURCE_SUITE: &str = "forky";

/// Why what needs a nightly toolchain is left out.
pub(crate) const NO_NIGHTLY: &str =
    "no nightly toolchain (`rustup toolchain install nightly` brings one)";

/// What to check.
#[derive(Args)]
pub(crate) struct Options {
    /// Compile the host's programs for Windows and macOS
    #[arg(long, required = true)]
    cross: bool,
}

/// How a check ended, when it did not fail.
pub(crate) enum Outcome {
    /// It compiles.
    Passed,
    /// It could not be tried, and why.
    Skipped(String),
}

/// `cargo xtask check --cross`.
pub(crate) fn command(project: &Project, options: &Options) -> Result<()> {
    debug_assert!(options.cross, "clap requires it");
    setup::system(&[Need::Cross])?;
    let mut failed = Vec::new();
    for target in TARGETS {
        match check(project, target) {
            Ok(Outcome::Passed) => say(format_args!("{target}: ok")),
            Ok(Outcome::Skipped(reason)) => say(format_args!("{target}: SKIPPED: {reason}")),
            Err(error) => {
                crate::progress::complain(&error);
                failed.push(target);
            }
        }
    }
    if !failed.is_empty() {
        bail!("does not compile for {}", failed.join(", "));
    }
    Ok(())
}

/// Compiles the host's packages for one system.
pub(crate) fn check(project: &Project, target: &str) -> Result<Outcome> {
    let Some(mut command) = cargo_of_nightly(project)? else {
        return Ok(Outcome::Skipped(NO_NIGHTLY.to_owned()));
    };
    step(&format!("compiling for {target}"), || {
        command.args(["check", "-Zbuild-std=std,panic_abort", "--target", target]);
        if target.contains("apple") {
            // Checking compiles no C; the compiler is only looked for.
            let variable = target.replace('-', "_");
            for tool in ["CC", "CXX", "AR"] {
                command.env(format!("{tool}_{variable}"), "/bin/true");
            }
        }
        for package in PACKAGES {
            command.args(["--package", package]);
        }
        run(&mut command)
    })?;
    Ok(Outcome::Passed)
}

/// The nightly toolchain's cargo, which can build standard libraries; nothing if the machine has none.
pub(crate) fn cargo_of_nightly(project: &Project) -> Result<Option<Command>> {
    let toolchain = nightly(project)?;
    toolchain
        .map(|toolchain| cargo(project, &toolchain))
        .transpose()
}

/// The cargo of a toolchain, beside whose work nothing of the usual one's is built again.
fn cargo(project: &Project, toolchain: &Path) -> Result<Command> {
    let mut path = vec![toolchain.join("bin")];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let mut command = Command::new(toolchain.join("bin/cargo"));
    command
        .current_dir(&project.root)
        .env("PATH", std::env::join_paths(path).context("joining PATH")?)
        .env("RUSTC", toolchain.join("bin/rustc"))
        // The toolchain that started us must not reach this one.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env("CARGO_TARGET_DIR", project.cross());
    Ok(command)
}

/// A cargo that builds programs for Linux on another processor.
pub(crate) fn cargo_for(project: &Project, arch: Arch) -> Result<Command> {
    let Some(nightly) = nightly(project)? else {
        bail!(
            "building for {} takes a nightly toolchain: `rustup toolchain install nightly` brings one",
            arch.debian()
        );
    };
    let target = arch.target();
    let linker = format!("{}-linux-gnu-gcc", arch.kernel());
    let variable = target.replace('-', "_").to_uppercase();
    let cargo = || -> Result<Command> {
        let mut command = cargo(project, &nightly)?;
        command.env(format!("CARGO_TARGET_{variable}_LINKER"), &linker);
        Ok(command)
    };
    let library = nightly.join("lib/rustlib").join(&target).join("lib");
    if !library.is_dir() {
        step(&format!("the standard library for {target}"), || {
            build_standard_library(project, cargo()?, &target, &library)
        })?;
    }
    cargo()
}

/// Its compiler, once that has built something.
pub(crate) fn compiler(project: &Project) -> PathBuf {
    copy(project).join("bin/rustc")
}

/// Builds the standard library and puts it where the toolchain looks for it: not every compiler that
/// a build calls is called by cargo.
fn build_standard_library(
    project: &Project,
    mut cargo: Command,
    target: &str,
    into: &Path,
) -> Result<()> {
    let empty = project.cross().join("nothing");
    let write = |name: &str, text: &str| {
        let path = empty.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    fs::create_dir_all(&empty).with_context(|| format!("creating {}", empty.display()))?;
    write(
        "Cargo.toml",
        "[package]\nname = \"nothing\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n",
    )?;
    write("lib.rs", "#![no_std]\n")?;
    let built = empty.join("target");
    run(cargo
        .current_dir(&empty)
        .env("CARGO_TARGET_DIR", &built)
        .args(["build", "--release", "-Zbuild-std=std,panic_abort"])
        .args(["--target", target]))?;
    // Filled beside and renamed, so that half a library is never taken for one.
    let partial = into.with_extension("partial");
    fs::create_dir_all(&partial).with_context(|| format!("creating {}", partial.display()))?;
    let from = built.join(target).join("release/deps");
    for entry in fs::read_dir(&from).with_context(|| format!("listing {}", from.display()))? {
        let path = entry
            .with_context(|| format!("listing {}", from.display()))?
            .path();
        let name = path.file_name().unwrap_or_default();
        if path.extension().is_some_and(|kind| kind == "rlib") {
            fs::copy(&path, partial.join(name))
                .with_context(|| format!("copying {}", path.display()))?;
        }
    }
    fs::rename(&partial, into).with_context(|| format!("renaming to {}", into.display()))
}

/// Whether there is a nightly toolchain at all.
pub(crate) fn has_nightly() -> bool {
    installed().is_some()
}

/// Where rustup has the nightly compiler.
fn installed() -> Option<String> {
    output(Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"])).ok()
}

fn copy(project: &Project) -> PathBuf {
    project.target.join("nightly")
}

/// A copy of the nightly toolchain with rust-src linked into it, so that rustup's own stays as it
/// is; nothing if the machine has no nightly.
fn nightly(project: &Project) -> Result<Option<PathBuf>> {
    let Some(installed) = installed() else {
        return Ok(None);
    };
    let installed = Path::new(installed.trim())
        .parent()
        .and_then(Path::parent)
        .context("finding the nightly toolchain's directory")?
        .to_owned();
    let copy = copy(project);
    let source = copy.join("lib/rustlib/src/rust");
    if source.join("library").is_dir() {
        return Ok(Some(copy));
    }
    step("the nightly toolchain with rust-src", || {
        if copy.exists() {
            fs::remove_dir_all(&copy).with_context(|| format!("removing {}", copy.display()))?;
        }
        // Hard links where the file system allows them; they may cross one, then it is a copy.
        if run(Command::new("cp").arg("-al").arg(&installed).arg(&copy)).is_err() {
            if copy.exists() {
                fs::remove_dir_all(&copy)
                    .with_context(|| format!("removing {}", copy.display()))?;
            }
            run(Command::new("cp").arg("-a").arg(&installed).arg(&copy))?;
        }
        if source.join("library").is_dir() {
            return Ok(());
        }
        let unpacked = rust_source(project)?;
        let parent = copy.join("lib/rustlib/src");
        fs::create_dir_all(&parent).with_context(|| format!("creating {}", parent.display()))?;
        std::os::unix::fs::symlink(&unpacked, &source)
            .with_context(|| format!("linking {}", source.display()))
    })?;
    Ok(Some(copy))
}

/// The unpacked sources of the standard library.
fn rust_source(project: &Project) -> Result<PathBuf> {
    let package = Suite::new(project, SOURCE_SUITE)
        .fetch(&["rust-src".to_owned()], false)?
        .remove(0);
    let parent = package.root.join("usr/src");
    let entries = fs::read_dir(&parent).with_context(|| format!("listing {}", parent.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("listing {}", parent.display()))?
            .path();
        if path.join("library/std").is_dir() {
            return Ok(path);
        }
    }
    bail!("{} holds no standard library", parent.display())
}
