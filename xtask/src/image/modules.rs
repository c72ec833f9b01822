//! Kernel modules: chosen by name, completed with what they need (from each module's own
//! `.modinfo`, since `modules.dep` is only made on installation), in an order that loads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use super::kernel::Kernel;
use super::lists::collect_files;
use crate::elf;

/// The modules of one kernel.
pub(crate) struct Modules {
    /// What `uname -r` will say.
    pub(crate) release: String,
    available: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

/// One module, decompressed.
pub(crate) struct Module {
    /// With underscores, as the kernel says it.
    pub(crate) name: String,
    /// The `.ko` file.
    pub(crate) bytes: Vec<u8>,
}

impl Modules {
    /// Lists what the kernel's package has.
    pub(crate) fn open(kernel: &Kernel) -> Result<Self> {
        let directory = kernel.modules();
        let mut files = Vec::new();
        collect_files(&directory.join("kernel"), &mut files)?;
        let available = files
            .into_iter()
            .filter_map(|path| Some((module_name(&path)?, path)))
            .collect();
        let list = directory.join("modules.builtin");
        let text =
            fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
        let builtin = text
            .lines()
            .filter_map(|line| module_name(Path::new(line)))
            .collect();
        Ok(Self {
            release: kernel.release.clone(),
            available,
            builtin,
        })
    }

    /// The wanted modules and everything they need, what is needed first, beyond what is `loaded`
    /// by then. A module that the kernel has built in is left out; one that it does not know is an
    /// error.
    pub(crate) fn load_order(&self, wanted: &[String], loaded: &[Module]) -> Result<Vec<Module>> {
        let mut order = Vec::new();
        let mut seen = loaded.iter().map(|module| module.name.clone()).collect();
        for name in wanted {
            self.visit(&normal(name), &mut seen, &mut order)?;
        }
        Ok(order)
    }

    fn visit(
        &self,
        name: &str,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<Module>,
    ) -> Result<()> {
        if self.builtin.contains(name) || !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let path = self.available.get(name).ok_or_else(|| {
            anyhow!(
                "kernel {} has no module {name}: correct vm-image/modules-*.txt",
                self.release
            )
        })?;
        let bytes = without_signature(decompress(path)?);
        let information = elf::section(&bytes, ".modinfo")
            .with_context(|| format!("reading {}", path.display()))?
            .unwrap_or_default();
        for needed in needed(information) {
            self.visit(&needed, seen, order)?;
        }
        order.push(Module {
            name: name.to_owned(),
            bytes,
        });
        Ok(())
    }
}

fn decompress(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let mut out = Vec::new();
    match path.extension().and_then(|kind| kind.to_str()) {
        Some("xz") => xz2::read::XzDecoder::new(&bytes[..]).read_to_end(&mut out),
        Some("zst") => zstd::stream::read::Decoder::new(&bytes[..])
            .and_then(|mut stream| stream.read_to_end(&mut out)),
        _ => return Ok(bytes),
    }
    .with_context(|| format!("decompressing {}", path.display()))?;
    Ok(out)
}

/// A module without the signature at its end. The whole image is what gets checked; checking each
/// module again costs some 15 ms a module on an emulated processor.
fn without_signature(mut bytes: Vec<u8>) -> Vec<u8> {
    // scripts/sign-file.c: signature, a 12-byte description that ends with the signature's
    // big-endian length, this mark.
    const MARK: &[u8] = b"~Module signature appended~\n";
    const DESCRIPTION: usize = 12;
    if let Some(rest) = bytes.strip_suffix(MARK)
        && let Some((_, length)) = rest.split_last_chunk::<4>()
        && let Ok(length) = usize::try_from(u32::from_be_bytes(*length))
        && let Some(end) = rest.len().checked_sub(DESCRIPTION + length)
    {
        bytes.truncate(end);
    }
    bytes
}

/// `kernel/drivers/char/hw_random/virtio-rng.ko.xz` is `virtio_rng`.
fn module_name(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(normal(name))
}

fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The modules that `depends=` names.
fn needed(information: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for field in information
        .split(|byte| *byte == 0)
        .filter_map(|field| std::str::from_utf8(field).ok())
    {
        if let Some(list) = field.strip_prefix("depends=") {
            names.extend(list.split(',').filter(|name| !name.is_empty()).map(normal));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_module_needs() {
        assert_eq!(
            needed(b"license=GPL\0depends=nf_tables,nf-nat\0alias=x\0"),
            ["nf_tables", "nf_nat"]
        );
        assert!(needed(b"depends=\0").is_empty());
    }

    #[test]
    fn strips_a_signature_and_nothing_else() {
        let mut signed = b"module".to_vec();
        signed.extend(b"SIGNATURE");
        signed.extend([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        signed.extend(b"~Module signature appended~\n");
        assert_eq!(without_signature(signed), b"module");
        assert_eq!(without_signature(b"module".to_vec()), b"module");
        assert_eq!(
            without_signature(b"~Module signature appended~\n".to_vec()),
            b"~Module signature appended~\n"
        );
    }

    #[test]
    fn names_modules_as_the_kernel_does() {
        assert_eq!(
            module_name(Path::new("a/virtio-rng.ko.xz")).as_deref(),
            Some("virtio_rng")
        );
        assert_eq!(module_name(Path::new("a/modules.order")), None);
    }
}
