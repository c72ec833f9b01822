//! An archive into a tree that is in use: `docker cp` into a container.
//!
//! The container's processes may rename and replace whatever they like meanwhile. Paths are
//! resolved by the kernel with the tree's root as `/` ([`super::tree`]), so the worst they reach is
//! another place in their own files.

use std::ffi::CString;
use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::FileType;

use super::entries::{Entries, Entry, Node, truncated};
use super::names::components;
use super::tree::Tree;
use super::write_content;
use crate::stream::Decompressed;
use crate::{Error, Result};

/// Where and how to extract.
#[derive(Debug, Clone, Default)]
pub struct Extract {
    /// The directory, as a clean absolute path in the tree.
    pub directory: Vec<u8>,
    /// Refuse to put a directory in the place of something else, and the reverse.
    pub keep_kinds: bool,
    /// Owner and group of everything, whatever the archive says.
    pub owner: Option<(u32, u32)>,
    /// The archive is all that there is to be: the directory itself becomes what the archive says,
    /// links may say anything, every attribute is kept, and an archive whose end is not marked may
    /// be cut off and is refused.
    pub whole: bool,
}

/// What was extracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// Extracts the archive `source` (plain, gzip or zstd) and reads it to its end.
///
/// # Errors
/// What is wrong with the archive, or with writing. What was written before stays.
pub fn extract(source: impl Read, root: BorrowedFd<'_>, how: &Extract) -> Result<Extracted> {
    let root = root
        .try_clone_to_owned()
        .map_err(Error::io("open", "/".as_ref()))?;
    let mut entries = Entries::new(Decompressed::new(source)?);
    let mut tree = Tree::of(root);
    let mut done = Extracted::default();
    while let Some(mut entry) = entries.next()? {
        if let Some((uid, gid)) = how.owner {
            entry.attributes.uid = uid;
            entry.attributes.gid = gid;
        }
        entry.attributes.marks = how.whole;
        done.bytes += place(&mut tree, &mut entries, &entry, how)?;
        done.entries += 1;
        entries.finish_entry()?;
    }
    if how.whole && !entries.is_whole() {
        return Err(truncated());
    }
    entries.drain()?;
    tree.finish()?;
    Ok(done)
}

fn place(
    tree: &mut Tree,
    entries: &mut Entries<impl Read>,
    entry: &Entry,
    how: &Extract,
) -> Result<u64> {
    let is_directory = matches!(entry.node, Node::Directory);
    let Some((parent, name)) = split(&entry.path, how)? else {
        // The directory itself: it is there, and stays what it is.
        return if is_directory {
            if how.whole {
                tree.set_root(&entry.attributes)?;
            }
            Ok(0)
        } else {
            Err(overwrites(&how.directory, how, true))
        };
    };
    let path = [&parent, b"/".as_slice(), name.to_bytes()].concat();
    let existing = tree.kind(&parent, &name).map_err(|e| named(e, entry))?;
    let was_directory = existing.map(|kind| kind == FileType::Directory);
    if how.keep_kinds && was_directory.is_some_and(|was| was != is_directory) {
        return Err(overwrites(
            &[b"/", path.as_slice()].concat(),
            how,
            !is_directory,
        ));
    }
    make(tree, entries, entry, how, (&parent, &name)).map_err(|e| named(e, entry))
}

fn make(
    tree: &mut Tree,
    entries: &mut Entries<impl Read>,
    entry: &Entry,
    how: &Extract,
    (parent, name): (&[u8], &CString),
) -> Result<u64> {
    let attributes = &entry.attributes;
    match &entry.node {
        Node::Directory => tree.directory(parent, name, attributes)?,
        Node::Symlink(target) => {
            if !how.whole && !stays_inside(parent, target, &how.directory) {
                let path = [b"/", parent, b"/", name.to_bytes()].concat();
                return Err(breakout("symlink", &path, target));
            }
            tree.symlink(parent, name, target, attributes)?;
        }
        Node::Device { kind, major, minor } => {
            tree.node(parent, name, *kind, (*major, *minor), attributes)?;
        }
        Node::HardLink(target) => {
            let full = clean(&[how.directory.as_slice(), b"/", target].concat());
            let (Some((from, from_name)), true) =
                (split_last(&full), has_prefix(&full, &clean(&how.directory)))
            else {
                return Err(breakout(
                    "hardlink",
                    &[b"/", full.as_slice()].concat(),
                    target,
                ));
            };
            tree.hard_link(from, &c_string(from_name)?, parent, name)?;
        }
        Node::File(content) => {
            let (file, path) = tree.file(parent, name, attributes)?;
            let size = write_content(entries, content, &file, &path)?;
            tree.seal_file(&file, attributes)?;
            return Ok(size);
        }
    }
    Ok(0)
}

/// Which directory (below the root) an entry goes to, and its name there; nothing for the
/// directory itself.
fn split(path: &[u8], how: &Extract) -> Result<Option<(Vec<u8>, CString)>> {
    if path.contains(&0) {
        return Err(Error::invalid("an entry's name holds a NUL byte"));
    }
    let mut depth = 0_usize;
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if depth == 0 && !path.starts_with(b"/") => {
                return Err(Error::invalid(format!(
                    "{:?} is outside of {:?}",
                    String::from_utf8_lossy(path),
                    String::from_utf8_lossy(&how.directory)
                )));
            }
            b".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    // An absolute name counts from the directory, and `..` stops there.
    let inner = clean(path);
    let Some((inside, name)) = split_last(&inner) else {
        return Ok(None);
    };
    let parent = clean(&[how.directory.as_slice(), b"/", inside].concat());
    Ok(Some((parent, c_string(name)?)))
}

/// Whether a symbolic link leads to somewhere in the directory, as far as its text tells. Docker
/// counts an absolute target from the link's own directory.
fn stays_inside(parent: &[u8], target: &[u8], directory: &[u8]) -> bool {
    let target = clean(&[parent, b"/", target].concat());
    has_prefix(&target, &clean(directory))
}

fn has_prefix(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| directory.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
}

/// A path without empty, `.` and `..` components; relative to the root, where `..` stops.
fn clean(path: &[u8]) -> Vec<u8> {
    components(path).join(&b'/')
}

/// Directory and last component of a clean path.
fn split_last(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    })
}

fn c_string(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|_| Error::invalid("an entry's name holds a NUL byte"))
}

fn overwrites(path: &[u8], how: &Extract, directory: bool) -> Error {
    let (old, new) = if directory {
        ("directory", "non-directory")
    } else {
        ("non-directory", "directory")
    };
    Error::invalid(format!(
        "cannot overwrite {old} {:?} with {new} {:?}",
        String::from_utf8_lossy(path),
        String::from_utf8_lossy(&how.directory)
    ))
}

fn breakout(kind: &str, path: &[u8], target: &[u8]) -> Error {
    Error::invalid(format!(
        "invalid {kind} {:?} -> {:?}",
        String::from_utf8_lossy(path),
        String::from_utf8_lossy(target)
    ))
}

/// Says which entry was at fault where the message does not name a path yet.
fn named(error: Error, entry: &Entry) -> Error {
    match error {
        Error::Invalid(why) if !why.starts_with("invalid ") => Error::Invalid(format!(
            "entry {:?}: {why}",
            String::from_utf8_lossy(&entry.path)
        )),
        other => other,
    }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
