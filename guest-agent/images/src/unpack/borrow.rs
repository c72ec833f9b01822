//! Hard links to files of the layers below. A layer's directory cannot link into another one's, so
//! the file is copied, as overlayfs does when one is made in a container.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use rustix::fs::FileType;

use super::entries::Attributes;
use super::tree::Tree;
use super::{Below, Written};
use crate::copy::copy_content;
use crate::merged::{Merged, Node};
use crate::{Error, Result};

/// Links that wait until the layers below are in place.
#[derive(Default)]
pub(super) struct Borrowed {
    links: Vec<Link>,
}

struct Link {
    /// The file below, as a clean path.
    target: Vec<u8>,
    parent: Vec<u8>,
    name: CString,
}

impl Borrowed {
    pub(super) fn later(&mut self, target: Vec<u8>, parent: &[u8], name: &CStr) {
        self.links.push(Link {
            target,
            parent: parent.to_owned(),
            name: name.to_owned(),
        });
    }

    /// Copies the files and makes the links.
    pub(super) fn copy_up(self, tree: &mut Tree, below: &dyn Below) -> Result<Written> {
        let mut written = Written::default();
        if self.links.is_empty() {
            return Ok(written);
        }
        let files = below.files()?;
        let mut first: HashMap<Vec<u8>, (Vec<u8>, CString)> = HashMap::new();
        for link in self.links {
            // A later entry has the name.
            if tree.holds(&link.parent, &link.name) {
                continue;
            }
            if let Some((parent, name)) = first.get(&link.target) {
                tree.hard_link(parent, name, &link.parent, &link.name)?;
                continue;
            }
            let found = files.look(&link.target)?.ok_or_else(|| missing(&link))?;
            written.size += copy(tree, &files, &found, &link)?;
            let layer = files.layer(&found);
            if !written.borrowed.contains(&layer) {
                written.borrowed.push(layer);
            }
            first.insert(link.target, (link.parent, link.name));
        }
        Ok(written)
    }
}

fn missing(link: &Link) -> Error {
    Error::invalid(format!(
        "layer entry {:?}: a hard link to {:?}, which neither the layer nor those below hold",
        String::from_utf8_lossy(&super::tree::join(&link.parent, &link.name)),
        String::from_utf8_lossy(&link.target)
    ))
}

fn copy(tree: &mut Tree, files: &Merged, found: &Node, link: &Link) -> Result<u64> {
    let stat = &found.stat;
    let attributes = Attributes {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (
            stat.st_mtime as _,
            u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        ),
        xattrs: files.attributes(found)?,
        marks: false,
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let source = files.open(found)?;
            let (target, path) = tree.file(&link.parent, &link.name, &attributes)?;
            // A hole may be of any size.
            copy_content(&source, &target, stat).map_err(Error::io("write", &path))?;
            tree.seal_file(&target, &attributes)?;
            Ok(u64::try_from(stat.st_size).unwrap_or(0))
        }
        FileType::Symlink => {
            let target = files.target(found)?;
            tree.symlink(&link.parent, &link.name, &target, &attributes)?;
            Ok(target.len() as u64)
        }
        FileType::Directory => Err(Error::invalid(format!(
            "layer entry {:?}: a hard link to a directory",
            link.name
        ))),
        kind => {
            let device = (
                rustix::fs::major(stat.st_rdev),
                rustix::fs::minor(stat.st_rdev),
            );
            tree.node(&link.parent, &link.name, kind, device, &attributes)?;
            Ok(0)
        }
    }
}
