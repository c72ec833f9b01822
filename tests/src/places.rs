//! Where programs, images and tools are.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's root.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The build directory.
#[must_use]
pub fn target() -> PathBuf {
    workspace().join("target")
}

/// The folder of our programs.
#[must_use]
pub fn binaries() -> PathBuf {
    setting("SLIPWAY_BIN_DIR", target().join("debug"))
}

/// One of our programs, or why it isn't there.
///
/// # Errors
/// A reason to skip the test.
pub fn binary(name: &str) -> Result<PathBuf, String> {
    existing(binaries().join(name), "build it with `cargo xtask test`")
}

/// The folder of the machine's programs, built for release.
#[must_use]
pub fn guest_programs() -> PathBuf {
    setting(
        "SLIPWAY_GUEST_DIR",
        target().join(format!("{}/release", guest_target())),
    )
}

/// The target triple of programs for the machine; `SLIPWAY_TEST_TARGET` names that of one with another
/// processor.
#[must_use]
pub fn guest_target() -> String {
    let own = || format!("{}-unknown-linux-gnu", env::consts::ARCH);
    env::var("SLIPWAY_TEST_TARGET").unwrap_or_else(|_| own())
}

/// The machine's processor, as the kernel calls it.
#[must_use]
pub fn guest_arch() -> String {
    let target = guest_target();
    let arch = target.split('-').next();
    arch.unwrap_or_default().to_owned()
}

/// The folder of the machine's image.
#[must_use]
pub fn image() -> PathBuf {
    setting("SLIPWAY_IMAGE_DIR", target().join("image"))
}

/// A foreign program from the unpacked test tools, or from `PATH`.
///
/// # Errors
/// A reason to skip the test.
pub fn tool(name: &str) -> Result<PathBuf, String> {
    let unpacked = setting("SLIPWAY_TEST_TOOLS", target().join("tools/root"))
        .join("usr/bin")
        .join(name);
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    in_path(name).ok_or_else(|| {
        format!(
            "{name} is neither in {} nor in PATH: `cargo xtask test` fetches it",
            unpacked.display()
        )
    })
}

/// The folder of docker's plugins, where `cargo xtask setup` has put it.
#[must_use]
pub fn docker_plugins() -> Option<PathBuf> {
    let tools = setting("SLIPWAY_TEST_TOOLS", target().join("tools/root"));
    let folder = std::path::absolute(tools.join("docker-config/cli-plugins")).ok()?;
    folder.is_dir().then_some(folder)
}

/// A program of the system.
#[must_use]
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

fn existing(path: PathBuf, remedy: &str) -> Result<PathBuf, String> {
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is missing: {remedy}", path.display()))
    }
}

/// The machine's kernel image, or why it isn't there.
///
/// # Errors
/// A reason to skip the test.
pub fn machine_image() -> Result<PathBuf, String> {
    existing(
        image().join("manifest.json"),
        "build it with `cargo xtask image`",
    )
    .map(|_| image())
}

fn setting(name: &str, otherwise: PathBuf) -> PathBuf {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map_or(otherwise, |value| workspace().join(value))
}
