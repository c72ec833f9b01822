//! The kernel, uncompressed: the `vmlinux` out of Debian's bzImage, which QEMU starts by PVH, or Arm's
//! `Image`. That skips the decompression that costs seconds without hardware virtualisation.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};

use crate::elf;
use crate::packages::Package;

/// An unpacked kernel package.
pub(crate) struct Kernel {
    /// What `uname -r` will say.
    pub(crate) release: String,
    root: PathBuf,
}

impl Kernel {
    /// Finds the kernel's release in its package.
    pub(crate) fn open(package: &Package) -> Result<Self> {
        let directory = modules_parent(package);
        let mut releases = fs::read_dir(&directory)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .with_context(|| format!("listing {}", directory.display()))?;
        let (Some(release), None) = (releases.pop(), releases.pop()) else {
            bail!(
                "{} should hold the modules of exactly one kernel",
                directory.display()
            );
        };
        let release = release
            .file_name()
            .into_string()
            .map_err(|name| anyhow!("odd kernel release {}", name.display()))?;
        Ok(Self {
            release,
            root: package.root.clone(),
        })
    }

    /// The directory with `modules.builtin` and `kernel/`.
    pub(crate) fn modules(&self) -> PathBuf {
        let usr = self.root.join("usr/lib/modules").join(&self.release);
        if usr.is_dir() {
            usr
        } else {
            self.root.join("lib/modules").join(&self.release)
        }
    }

    /// The uncompressed kernel.
    pub(crate) fn vmlinux(&self) -> Result<Vec<u8>> {
        let path = self
            .root
            .join("boot")
            .join(format!("vmlinuz-{}", self.release));
        let image = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        unpack(&image).with_context(|| format!("unpacking {}", path.display()))
    }
}

fn modules_parent(package: &Package) -> PathBuf {
    let usr = package.root.join("usr/lib/modules");
    if usr.is_dir() {
        usr
    } else {
        package.root.join("lib/modules")
    }
}

/// Takes the kernel out of a file that boots by itself.
fn unpack(image: &[u8]) -> Result<Vec<u8>> {
    // Arm's boots as it is (Documentation/arch/arm64/booting.rst).
    if image.get(0x38..0x3c) == Some(b"ARM\x64") {
        return Ok(image.to_vec());
    }
    if image.get(0x202..0x206) != Some(b"HdrS") {
        bail!("neither Arm's Image nor a bzImage: its header is missing");
    }
    // By the fields of the setup header (Documentation/arch/x86/boot.rst).
    let sectors = match image[0x1f1] {
        0 => 4,
        count => usize::from(count),
    };
    let field = |at: usize| -> Result<usize> {
        let bytes: [u8; 4] = image
            .get(at..at + 4)
            .and_then(|slice| slice.try_into().ok())
            .ok_or_else(|| anyhow!("cut short"))?;
        Ok(usize::try_from(u32::from_le_bytes(bytes))?)
    };
    let (offset, length) = ((sectors + 1) * 512 + field(0x248)?, field(0x24c)?);
    let payload = image
        .get(offset..offset + length)
        .ok_or_else(|| anyhow!("the payload lies outside the file"))?;
    let mut kernel = Vec::new();
    match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            // The stream is followed by its unpacked size, which is no part of it.
            zstd::stream::read::Decoder::new(payload)?
                .single_frame()
                .read_to_end(&mut kernel)?;
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            xz2::read::XzDecoder::new(payload).read_to_end(&mut kernel)?;
        }
        _ => bail!(
            "packed with neither zstd nor xz: {:02x?}",
            &payload[..payload.len().min(4)]
        ),
    }
    if !elf::is_elf(&kernel) {
        bail!("what was packed is not a 64-bit ELF file");
    }
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_bzimage() {
        assert!(unpack(b"").is_err());
        assert!(unpack(&[0; 4096]).is_err());
    }
}
