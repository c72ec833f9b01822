//! Reads `vm-image/`: lists of words by the line, `#` starts a comment.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::sha256;
use super::tree::Tree;

/// Everything that `vm-image/` says.
pub(crate) struct Lists {
    /// Debian's suite.
    pub(crate) suite: String,
    /// The meta-package that names the current kernel, without the architecture.
    pub(crate) kernel: String,
    /// Package names.
    pub(crate) packages: Vec<String>,
    /// Modules that reach the data disk.
    pub(crate) disk_modules: Vec<String>,
    /// Modules that the running machine loads.
    pub(crate) root_modules: Vec<String>,
    /// Directories, links and small files of the root.
    pub(crate) tree: Tree,
    /// Programs to take from packages, by their path in both.
    pub(crate) programs: Vec<String>,
    /// A digest of all these files.
    pub(crate) digest: String,
}

impl Lists {
    /// Reads the directory.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let mut all = String::new();
        let mut list = |name: &str| -> Result<Vec<Vec<String>>> {
            let path = directory.join(name);
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            all.push_str(&text);
            Ok(parse(&text))
        };
        let mut packages = list("packages.txt")?;
        let suite = match packages.first().map(Vec::as_slice) {
            Some([word, suite]) if word == "suite" => suite.clone(),
            _ => bail!("vm-image/packages.txt must begin with `suite NAME`"),
        };
        let kernel = match packages.get(1).map(Vec::as_slice) {
            Some([word, kernel]) if word == "kernel" => kernel.clone(),
            _ => bail!("vm-image/packages.txt must go on with `kernel NAME`"),
        };
        packages.drain(..2);
        let (disk_modules, root_modules) = (list("modules-disk.txt")?, list("modules-root.txt")?);
        let mut tree = Tree::default();
        let mut programs = Vec::new();
        for line in list("tree.txt")? {
            match line.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["dir", path] => tree.directory(path, 0o755),
                ["dir", path, mode] => {
                    let mode = u32::from_str_radix(mode, 8)
                        .with_context(|| format!("the mode of {path} in tree.txt"))?;
                    tree.directory(path, mode);
                }
                ["link", path, target] => tree.link(path, target),
                ["program", path] => programs.push(path.to_owned()),
                _ => bail!("vm-image/tree.txt: cannot read `{}`", line.join(" ")),
            }
        }
        let mut files = Vec::new();
        collect_files(&directory.join("files"), &mut files)?;
        for path in files {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let name = path
                .strip_prefix(directory.join("files"))
                .context("naming a file of vm-image/files")?;
            let name = name
                .to_str()
                .ok_or_else(|| anyhow!("{} is not UTF-8", name.display()))?;
            all.push_str(&format!("{name} {}\n", sha256(&bytes)));
            tree.file(name, bytes, 0o644);
        }
        let words = |lines: Vec<Vec<String>>| lines.into_iter().flatten().collect::<Vec<_>>();
        Ok(Self {
            suite,
            kernel,
            packages: words(packages),
            disk_modules: words(disk_modules),
            root_modules: words(root_modules),
            tree,
            programs,
            digest: sha256(all.as_bytes()),
        })
    }
}

fn parse(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(|line| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|words| !words.is_empty())
        .collect()
}

/// Every regular file below a directory, sorted.
pub(crate) fn collect_files(directory: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<()> {
    let mut entries = fs::read_dir(directory)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("listing {}", directory.display()))?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let kind = entry
            .file_type()
            .with_context(|| format!("examining {}", entry.path().display()))?;
        if kind.is_dir() {
            collect_files(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        assert_eq!(
            parse("# a\n\none two # three\n"),
            vec![vec!["one".to_owned(), "two".to_owned()]]
        );
    }
}
