//! A file tree in memory: what an archive or a file system is written from, always in path order.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result};

/// One entry; every entry belongs to root and carries no time.
#[derive(Clone)]
pub(crate) enum Node {
    /// A directory with its permission bits.
    Directory(u32),
    /// A regular file with its permission bits.
    File(Vec<u8>, u32),
    /// A symbolic link.
    Link(String),
}

/// Entries by path, without a leading slash.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Node>,
}

impl Tree {
    /// Adds a directory, and its parents.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        self.insert(path, Node::Directory(mode));
    }

    /// Adds a file, and its parents.
    pub(crate) fn file(&mut self, path: &str, bytes: Vec<u8>, mode: u32) {
        self.insert(path, Node::File(bytes, mode));
    }

    /// Adds a symbolic link, and its parents.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.insert(path, Node::Link(target.to_owned()));
    }

    /// Every entry in path order: parents come before what they hold.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries
            .iter()
            .map(|(path, node)| (path.as_str(), node))
    }

    fn insert(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/')
            && !self.entries.contains_key(parent)
        {
            self.insert(parent, Node::Directory(0o755));
        }
        self.entries.insert(path.to_owned(), node);
    }

    /// Writes the tree into a directory that does not exist yet.
    pub(crate) fn write_to(&self, directory: &Path) -> Result<()> {
        create_directory(directory, 0o755)?;
        for (name, node) in self.entries() {
            let path = directory.join(name);
            match node {
                Node::Directory(mode) => create_directory(&path, *mode)?,
                Node::File(bytes, mode) => {
                    fs::write(&path, bytes)
                        .with_context(|| format!("writing {}", path.display()))?;
                    set_mode(&path, *mode)?;
                }
                Node::Link(target) => {
                    symlink(target, &path)
                        .with_context(|| format!("linking {}", path.display()))?;
                }
            }
        }
        Ok(())
    }
}

fn create_directory(path: &Path, mode: u32) -> Result<()> {
    fs::create_dir(path).with_context(|| format!("creating {}", path.display()))?;
    set_mode(path, mode)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_keep_their_mode() {
        let mut tree = Tree::default();
        tree.directory("/tmp", 0o1777);
        tree.file("/tmp/a/b", vec![1], 0o644);
        let paths: Vec<&str> = tree.entries().map(|(path, _)| path).collect();
        assert_eq!(paths, ["tmp", "tmp/a", "tmp/a/b"]);
        assert!(matches!(
            tree.entries.get("tmp"),
            Some(Node::Directory(0o1777))
        ));
    }
}
