//! The machine's image: kernel, root, and the first root of a snapshot.

use std::io::Read;
use std::path::{Path, PathBuf};

use client::wire::Problem;

use super::architecture::Architecture;
use crate::problem::{Explain, problem};

/// The files that a machine boots from.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) folder: PathBuf,
    pub(super) architecture: Architecture,
    pub(super) kernel: PathBuf,
    pub(super) root: PathBuf,
    pub(super) initramfs: PathBuf,
}

impl Image {
    /// `SLIPWAY_IMAGE_DIR`, else beside slipwayd, else where a build of the source puts it.
    pub(super) fn find() -> Result<Self, Problem> {
        if let Some(folder) = std::env::var_os("SLIPWAY_IMAGE_DIR").filter(|dir| !dir.is_empty()) {
            return Self::at(Path::new(&folder));
        }
        let exe = std::env::current_exe()
            .map_err(|error| problem("the machine's image was not found").because(error))?;
        let beside = exe.parent().unwrap_or(Path::new("."));
        // Without `..`: the same image has one name, on which a snapshot depends.
        let above = beside.parent().unwrap_or(beside);
        for candidate in [
            beside.join("image"),
            above.join("share/slipway/image"),
            above.join("Resources/image"),
            above.join("image"),
        ] {
            if candidate.join("vmlinux").is_file() {
                return Self::at(&candidate);
            }
        }
        Err(problem("the machine's image was not found")
            .because(format!("there is no image folder beside {}", exe.display()))
            .hint("set SLIPWAY_IMAGE_DIR to it; in the source tree, `cargo xtask image` builds it"))
    }

    fn at(folder: &Path) -> Result<Self, Problem> {
        // QEMU runs in another folder.
        let folder = &std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let file = |name: &str| {
            let path = folder.join(name);
            match std::fs::File::open(&path) {
                Ok(_) => Ok(path),
                Err(error) => Err(problem(format!("the machine's image has no {name}"))
                    .because(format!("{}: {error}", path.display()))
                    .hint("install Slipway again; in the source tree, run `cargo xtask image`")),
            }
        };
        let kernel = file("vmlinux")?;
        let Some(architecture) = architecture(&kernel) else {
            return Err(problem("the machine's kernel is damaged")
                .because(format!("{} is no Linux kernel", kernel.display()))
                .hint(
                    "install Slipway again; in the source tree, run `cargo xtask image --force`",
                ));
        };
        Ok(Self {
            architecture,
            kernel,
            root: file("root.ext2")?,
            initramfs: file("initramfs.cpio")?,
            folder: folder.to_owned(),
        })
    }
}

/// Whom a kernel is for; nothing when the file is none. QEMU would run anything, and nothing would ever
/// be heard of it.
fn architecture(path: &Path) -> Option<Architecture> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(Architecture::HEAD).read_to_end(&mut head).ok()?;
    Architecture::of_kernel(&head)
}
