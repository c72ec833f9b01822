//! Programs from Debian packages with the shared libraries that they ask for, directly or not.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};

use super::tree::Tree;
use crate::arch::Arch;
use crate::elf;
use crate::packages::Package;

/// PID 1.
pub(crate) const WARDEN: &str = "slipway-warden";
/// The engine.
pub(crate) const AGENT: &str = "slipway-agent";
/// The program of the bundled image.
pub(crate) const HELLO: &str = "hello";

/// Adds programs by path, their libraries and their loader.
pub(crate) fn add(
    tree: &mut Tree,
    arch: Arch,
    programs: &[String],
    packages: &[Package],
) -> Result<()> {
    let mut adding = Adding {
        tree,
        libraries: arch.libraries(),
        packages,
        added: BTreeSet::new(),
    };
    for program in programs {
        let (_, file) = find(packages, program).ok_or_else(|| {
            anyhow!("no package in vm-image/packages.txt has the program {program}")
        })?;
        adding.with_libraries(program, file)?;
    }
    Ok(())
}

/// Programs on their way into the root.
struct Adding<'a> {
    tree: &'a mut Tree,
    libraries: String,
    packages: &'a [Package],
    added: BTreeSet<String>,
}

impl Adding<'_> {
    fn with_libraries(&mut self, path: &str, file: PathBuf) -> Result<()> {
        if !self.added.insert(path.to_owned()) {
            return Ok(());
        }
        let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let dynamic =
            elf::dynamic(&bytes).with_context(|| format!("reading {}", file.display()))?;
        self.tree.file(path, bytes, 0o755);
        if let Some(loader) = dynamic.interpreter {
            // The root is usr-merged as Debian's is: /lib64 is /usr/lib64.
            let place = format!("/usr{loader}");
            let (_, file) = find(self.packages, &place)
                .ok_or_else(|| anyhow!("{path} asks for the loader {loader}: no package has it"))?;
            self.with_libraries(&place, file)?;
        }
        for library in dynamic.needed {
            if library.starts_with("ld-linux") {
                continue;
            }
            let libraries = &self.libraries;
            let place = format!("{libraries}/{library}");
            let (package, file) = find(self.packages, &place).ok_or_else(|| {
                anyhow!("{path} asks for {library}, which no package in vm-image/packages.txt has in {libraries}")
            })?;
            self.with_libraries(&place, file)
                .with_context(|| format!("adding {library} of {package}"))?;
        }
        Ok(())
    }
}

/// The package that has a file, and where it is unpacked.
fn find<'a>(packages: &'a [Package], path: &str) -> Option<(&'a str, PathBuf)> {
    let path = path.trim_start_matches('/');
    // Not every package has moved under /usr yet.
    let old = path.strip_prefix("usr/").unwrap_or(path);
    packages.iter().find_map(|package| {
        [path, old]
            .into_iter()
            .map(|path| package.root.join(path))
            .find(|file| file.is_file())
            .map(|file| (package.name.as_str(), file))
    })
}
