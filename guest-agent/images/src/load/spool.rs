//! An archive's files, spooled to disk and hashed, to be looked up by name.

use std::collections::HashMap;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::MAX_DOCUMENT;
use crate::unpack::{Content, Entries, Node};
use crate::{Digest, Error, Result};

/// An archive has a few files a layer; more than this is an attack on the file system.
const MAX_FILES: usize = 20_000;

/// The spooled files.
pub(super) struct Spool {
    files: HashMap<String, Spooled>,
    links: HashMap<String, String>,
}

/// One spooled file. Its name on disk has nothing to do with its name in the archive.
#[derive(Debug, Clone)]
pub(super) struct Spooled {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Spool {
    /// Reads a whole archive into `directory`.
    pub(super) fn read(archive: impl Read, directory: &Path) -> Result<Self> {
        let mut entries = Entries::new(archive);
        let mut spool = Self {
            files: HashMap::new(),
            links: HashMap::new(),
        };
        // Not the number of names: an archive may hold a file twice, and the last one counts.
        let mut count = 0_usize;
        while let Some(entry) = entries.next()? {
            let name = clean(&String::from_utf8_lossy(&entry.path));
            match entry.node {
                Node::File(Content::Plain(size)) => {
                    if count == MAX_FILES {
                        return Err(Error::invalid(format!(
                            "the archive holds more than {MAX_FILES} files"
                        )));
                    }
                    let path = directory.join(count.to_string());
                    count += 1;
                    let digest = spool_one(&mut entries, size, &path)?;
                    spool.files.insert(name, Spooled { path, digest, size });
                }
                // Old versions of `docker save` wrote a repeated layer as a link to the first.
                Node::Symlink(target) => {
                    let target = String::from_utf8_lossy(&target).into_owned();
                    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
                    spool
                        .links
                        .insert(name.clone(), clean(&format!("{parent}/{target}")));
                }
                Node::HardLink(target) => {
                    spool
                        .links
                        .insert(name, clean(&String::from_utf8_lossy(&target)));
                }
                _ => {}
            }
            entries.finish_entry()?;
        }
        entries.drain()?;
        Ok(spool)
    }

    /// Whether the archive has this file.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A file that a document of the archive names.
    pub(super) fn get(&self, name: &str) -> Result<&Spooled> {
        self.find(name).ok_or_else(|| {
            Error::invalid(format!(
                "the archive is incomplete: it names {name:?} but does not hold it"
            ))
        })
    }

    /// The blob with this digest, verified.
    pub(super) fn blob(&self, digest: &Digest) -> Result<&Spooled> {
        let file = self.get(&format!("blobs/sha256/{}", digest.hex()))?;
        if file.digest != *digest {
            return Err(Error::invalid(format!(
                "the archive is damaged: the content of blob {digest} has the digest {}",
                file.digest
            )));
        }
        Ok(file)
    }

    fn find(&self, name: &str) -> Option<&Spooled> {
        let mut name = clean(name);
        for _ in 0..8 {
            if let Some(file) = self.files.get(&name) {
                return Some(file);
            }
            name = self.links.get(&name)?.clone();
        }
        None
    }
}

impl Spooled {
    /// The content of a small file.
    pub(super) fn document(&self) -> Result<Vec<u8>> {
        if self.size > MAX_DOCUMENT {
            return Err(Error::invalid(format!(
                "a document of the archive is larger than {MAX_DOCUMENT} bytes"
            )));
        }
        std::fs::read(&self.path).map_err(Error::io("read", &self.path))
    }
}

fn spool_one(entries: &mut Entries<impl Read>, size: u64, path: &Path) -> Result<Digest> {
    let mut file = std::fs::File::create_new(path).map_err(Error::io("create", path))?;
    let mut hasher = Sha256::new();
    entries.copy(size, |piece| {
        hasher.update(piece);
        file.write_all(piece).map_err(Error::io("write", path))
    })?;
    Ok(Digest::finish(hasher))
}

/// Names are only keys here, but `./a` and `b/../a` are the same file.
fn clean(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
