//! A layer's tar stream to an overlay lower directory.
//!
//! Layers come from strangers. Every name is resolved by the kernel inside the destination
//! ([`tree`]), so whatever names, links, whiteouts or devices a layer holds, nothing outside is
//! read or written. Whiteouts become what overlayfs understands: character device 0/0 and the
//! `trusted.overlay.opaque` attribute.

mod borrow;
mod entries;
mod extract;
mod metadata;
mod names;
mod tree;

use std::io::Read;
use std::path::Path;

use borrow::Borrowed;
pub(crate) use entries::{Attributes, Content, Entries, Entry, Node};
pub use extract::{Extract, Extracted, extract};
use names::EntryName;
pub(crate) use tree::Tree;

use crate::merged::Merged;
use crate::{Digest, Error, Result};

/// The layers below the one that is unpacked.
pub(crate) trait Below: Sync {
    /// Their files, once all of them are in place.
    fn files(&self) -> Result<Merged>;
}

/// No layers below.
pub(crate) struct Nothing;

impl Below for Nothing {
    fn files(&self) -> Result<Merged> {
        Ok(Merged::default())
    }
}

/// What was unpacked.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Sum of the files' sizes in bytes.
    pub(crate) size: u64,
    /// The layers below that files were copied from.
    pub(crate) borrowed: Vec<Digest>,
}

/// Unpacks the plain tar stream `source` into the existing empty directory `destination` and reads
/// the stream to its end.
pub(crate) fn unpack(source: impl Read, destination: &Path, below: &dyn Below) -> Result<Written> {
    let mut entries = Entries::new(source);
    let mut tree = Tree::open(destination)?;
    let mut borrowed = Borrowed::default();
    let mut size = 0_u64;
    while let Some(entry) = entries.next()? {
        let written = apply(&mut tree, &mut entries, &entry, &mut borrowed)
            .map_err(|error| name_entry(error, &entry))?;
        size = size.saturating_add(written);
        entries.finish_entry()?;
    }
    entries.drain()?;
    let borrowed = borrowed.copy_up(&mut tree, below)?;
    let replaced = tree.replaced;
    tree.finish()?;
    Ok(Written {
        // What was replaced is not there any more.
        size: if replaced {
            measure(destination)?
        } else {
            size.saturating_add(borrowed.size)
        },
        borrowed: borrowed.borrowed,
    })
}

/// Files from this size on begin their way to the disk at once: committing waits for all of it.
const EARLY: u64 = 512 << 10;

/// Has the kernel begin to write what a file's cache holds, and forget what is written already.
pub(crate) fn write_back(file: &std::fs::File) {
    // Advice that is not taken costs only time.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Says which entry of the layer was at fault.
fn name_entry(error: Error, entry: &Entry) -> Error {
    match error {
        Error::Invalid(why) => Error::Invalid(format!(
            "layer entry {:?}: {why}",
            String::from_utf8_lossy(&entry.path)
        )),
        other => other,
    }
}

/// The bytes of a tree's files, each counted once, and of its links' targets.
fn measure(tree: &Path) -> Result<u64> {
    use rustix::fs::FileType;
    let layer = Merged::open_all(vec![(Digest::of(b""), tree.to_owned())])?;
    let mut seen = std::collections::HashSet::new();
    let mut size = 0;
    layer.walk_layer(0, &mut |raw| {
        let kind = FileType::from_raw_mode(raw.stat.st_mode);
        let counts = matches!(kind, FileType::RegularFile | FileType::Symlink);
        if counts && (raw.stat.st_nlink == 1 || seen.insert(raw.stat.st_ino)) {
            size += u64::try_from(raw.stat.st_size).unwrap_or(0);
        }
        true
    })?;
    Ok(size)
}

/// Where an entry's name is in the layer, when it is a member.
pub(crate) fn member_path(path: &[u8]) -> Result<Option<Vec<u8>>> {
    Ok(match names::classify(path)? {
        EntryName::Member { parent, name } => Some(tree::join(&parent, &name)),
        _ => None,
    })
}

fn apply(
    tree: &mut Tree,
    entries: &mut Entries<impl Read>,
    entry: &Entry,
    borrowed: &mut Borrowed,
) -> Result<u64> {
    match names::classify(&entry.path)? {
        EntryName::Root => {
            if matches!(entry.node, Node::Directory) {
                tree.set_root(&entry.attributes)?;
            }
            Ok(0)
        }
        EntryName::Ignored => Ok(0),
        EntryName::Opaque { parent } => tree.make_opaque(&parent).map(|()| 0),
        EntryName::Whiteout { parent, name } => tree.whiteout(&parent, &name).map(|()| 0),
        EntryName::Member { parent, name } => {
            create(tree, entries, entry, (&parent, &name), borrowed)
        }
    }
}

fn create(
    tree: &mut Tree,
    entries: &mut Entries<impl Read>,
    entry: &Entry,
    (parent, name): (&[u8], &std::ffi::CStr),
    borrowed: &mut Borrowed,
) -> Result<u64> {
    let attributes = &entry.attributes;
    match &entry.node {
        Node::Directory => tree.directory(parent, name, attributes)?,
        // Docker counts a link as the bytes of its target.
        Node::Symlink(target) => {
            tree.symlink(parent, name, target, attributes)?;
            return Ok(target.len() as u64);
        }
        Node::Device { kind, major, minor } => {
            tree.node(parent, name, *kind, (*major, *minor), attributes)?;
        }
        Node::HardLink(target) => match names::classify(target)? {
            EntryName::Member {
                parent: from,
                name: from_name,
            } => {
                if tree.holds(&from, &from_name) {
                    tree.hard_link(&from, &from_name, parent, name)?;
                } else {
                    borrowed.later(tree::join(&from, &from_name), parent, name);
                }
            }
            _ => {
                return Err(Error::invalid(
                    "a hard link to something that is not a file of the layer",
                ));
            }
        },
        Node::File(content) => {
            let (file, path) = tree.file(parent, name, attributes)?;
            let size = write_content(entries, content, &file, &path)?;
            tree.seal_file(&file, attributes)?;
            if size >= EARLY {
                write_back(&file);
            }
            return Ok(size);
        }
    }
    Ok(0)
}

/// Writes a file's bytes, leaving holes where a sparse map has them.
fn write_content(
    entries: &mut Entries<impl Read>,
    content: &Content,
    file: &std::fs::File,
    path: &Path,
) -> Result<u64> {
    use std::os::unix::fs::FileExt as _;

    let write_at = |bytes: &[u8], offset: u64| {
        file.write_all_at(bytes, offset)
            .map_err(Error::io("write", path))
    };
    match content {
        Content::Plain(size) => {
            let mut offset = 0;
            entries.copy(*size, |bytes| {
                write_at(bytes, offset)?;
                offset += bytes.len() as u64;
                Ok(())
            })?;
            Ok(*size)
        }
        Content::Sparse { regions, size } => {
            for region in regions {
                let end = region.offset.checked_add(region.length);
                if end.is_none_or(|end| end > *size) {
                    return Err(Error::invalid("its sparse map reaches past its end"));
                }
                let mut offset = region.offset;
                entries.copy(region.length, |bytes| {
                    write_at(bytes, offset)?;
                    offset += bytes.len() as u64;
                    Ok(())
                })?;
            }
            file.set_len(*size).map_err(Error::io("resize", path))?;
            Ok(*size)
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
#[path = "unpack/tests.rs"]
mod tests;
