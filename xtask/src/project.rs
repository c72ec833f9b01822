//! Where things are: the tree, the target directory (wherever cargo puts it), the image, the cache.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::arch::Arch;
use crate::progress;

/// The directories that every command works with.
pub(crate) struct Project {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, which `CARGO_TARGET_DIR` may have moved.
    pub(crate) target: PathBuf,
    /// What is worth keeping when the target directory goes: downloaded packages.
    pub(crate) cache: PathBuf,
    /// Whose processor the machine has.
    pub(crate) guest: Arch,
}

impl Project {
    /// Asks cargo where the workspace and its target directory are.
    pub(crate) fn find() -> Result<Self> {
        // What cargo says now: this program may have been built in another clone.
        let here =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = Path::new(&here).join("Cargo.toml");
        let metadata = progress::output(
            Command::new(cargo())
                .args([
                    "metadata",
                    "--no-deps",
                    "--offline",
                    "--format-version",
                    "1",
                    "--manifest-path",
                ])
                .arg(&manifest),
        )?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).context("reading cargo metadata")?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .ok_or_else(|| anyhow!("cargo metadata has no {key}"))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
            cache: cache()?,
            guest: Arch::NATIVE,
        })
    }

    /// The same project, for a machine with another processor.
    pub(crate) fn with_guest(&self, guest: Arch) -> Self {
        Self {
            root: self.root.clone(),
            target: self.target.clone(),
            cache: self.cache.clone(),
            guest,
        }
    }

    /// Development builds of the host's programs.
    pub(crate) fn host_programs(&self) -> PathBuf {
        self.target.join("debug")
    }

    /// Builds of the host's programs as they are shipped.
    pub(crate) fn shipped_programs(&self) -> PathBuf {
        self.target.join("release")
    }

    /// What is built for other systems.
    pub(crate) fn cross(&self) -> PathBuf {
        self.target.join("cross")
    }

    /// Static release builds of the machine's programs: ours, or `SLIPWAY_GUEST_DIR`'s.
    pub(crate) fn guest_programs(&self) -> PathBuf {
        foreign_guest_programs().unwrap_or_else(|| {
            let target = match self.guest {
                Arch::NATIVE => &self.target,
                _ => &self.cross(),
            };
            target.join(self.guest.target()).join("release")
        })
    }

    /// The machine's image.
    pub(crate) fn image(&self) -> PathBuf {
        match self.guest {
            Arch::NATIVE => self.target.join("image"),
            other => self.target.join(format!("image-{}", other.debian())),
        }
    }

    /// Clients and servers that only tests need, unpacked.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools/root")
    }
}

/// Where the machine's programs were built by someone else.
pub(crate) fn foreign_guest_programs() -> Option<PathBuf> {
    env::var_os("SLIPWAY_GUEST_DIR").map(PathBuf::from)
}

/// The cargo that started us.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

fn cache() -> Result<PathBuf> {
    if let Some(path) = env::var_os("SLIPWAY_CACHE") {
        return std::path::absolute(path).context("resolving SLIPWAY_CACHE");
    }
    if let Some(path) = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
    {
        return Ok(path.join("slipway"));
    }
    let home = env::home_dir()
        .ok_or_else(|| anyhow!("no home directory: set SLIPWAY_CACHE to a folder for downloads"))?;
    Ok(home.join(".cache/slipway"))
}
