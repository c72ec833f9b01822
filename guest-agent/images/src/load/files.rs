//! An archive's files as they pass: documents are kept in memory, layers are unpacked, everything is
//! hashed, to be looked up by name.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::MAX_DOCUMENT;
use crate::layer::{Taken, take_compressed, take_plain};
use crate::progress::Reporter;
use crate::store::{Import, Snapshot, Stage};
use crate::stream::{Decompressed, read_error};
use crate::unpack::{Content, Entries, Node};
use crate::{Digest, Error, PullProgress, Result};

/// An archive has a few files a layer; more than this is an attack on the file system.
const MAX_FILES: usize = 20_000;
/// All documents of an archive together.
pub(super) const MAX_DOCUMENTS: u64 = 64 << 20;
const BLOCK: usize = 512;
/// Bytes between two progress messages of a layer.
const STEP: u64 = 1 << 20;

/// The files.
#[derive(Default)]
pub(super) struct Files {
    files: HashMap<String, Passed>,
    links: HashMap<String, String>,
    documents: u64,
}

/// One file.
pub(super) struct Passed {
    pub(super) digest: Digest,
    pub(super) size: u64,
    what: What,
}

enum What {
    Document(Vec<u8>),
    /// Unpacked in a stage, or why that could not be.
    Layer(Box<Result<(Taken, Stage)>>),
    /// A layer that the store has; only hashed.
    Known,
    /// Too large for a document, and no archive.
    Other,
    /// A layer that was fetched already.
    Gone,
}

impl Files {
    /// Reads a whole archive.
    pub(super) fn read(archive: impl Read, import: &Import, reporter: &Reporter) -> Result<Self> {
        let mut entries = Entries::new(archive);
        let mut files = Self::default();
        let index = import.store().index.snapshot();
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
                    count += 1;
                    let mut content = Metered {
                        source: entries.content(),
                        id: hex_of(&name).map(|digest| digest.short()),
                        done: 0,
                        told: 0,
                        total: size,
                        reporter,
                    };
                    let passed = files.take(&name, size, &mut content, import, &index)?;
                    files.files.insert(name, passed);
                }
                // Old versions of `docker save` wrote a repeated layer as a link to the first.
                Node::Symlink(target) => {
                    let target = String::from_utf8_lossy(&target).into_owned();
                    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
                    let target = clean(&format!("{parent}/{target}"));
                    files.links.insert(name.clone(), target);
                }
                Node::HardLink(target) => {
                    let target = clean(&String::from_utf8_lossy(&target));
                    files.links.insert(name, target);
                }
                _ => {}
            }
            entries.finish_entry()?;
        }
        entries.drain()?;
        Ok(files)
    }

    /// Takes one file.
    fn take<R: Read>(
        &mut self,
        name: &str,
        size: u64,
        content: &mut Metered<'_, R>,
        import: &Import,
        index: &Snapshot,
    ) -> Result<Passed> {
        if let Some(diff_id) = hex_of(name).and_then(|digest| known(index, &digest))
            && import.hold(&diff_id)
        {
            let digest = hash(content)?;
            return Ok(Passed {
                digest,
                size,
                what: What::Known,
            });
        }
        let mut head = Vec::new();
        (&mut *content)
            .take(BLOCK as u64)
            .read_to_end(&mut head)
            .map_err(read_error)?;
        let compressed = Decompressed::<&[u8]>::recognises(&head);
        if !compressed && !is_archive(&head) {
            content.id = None;
            return self.document(size, head, content);
        }
        if compressed {
            // The name is not what the layer will be called.
            content.id = None;
        }
        let stage = import.store().files.stage()?;
        let whole = head.chain_with(&mut *content);
        let taken = if compressed {
            take_compressed(whole, &stage)
        } else {
            take_plain(whole, &stage)
        };
        let (digest, taken) = match taken {
            Ok(taken) if compressed => (taken.row.blob, Ok((taken, stage))),
            Ok(taken) => (taken.diff_id, Ok((taken, stage))),
            // It may not be a layer at all. Only whoever names it wants to know; but a cut archive
            // is told at once.
            Err(Error::Invalid(why)) if content.done == size => {
                (Digest::of(b""), Err(Error::Invalid(why)))
            }
            Err(Error::Invalid(why)) => {
                io::copy(content, &mut io::sink()).map_err(read_error)?;
                (Digest::of(b""), Err(Error::Invalid(why)))
            }
            Err(error) => return Err(error),
        };
        Ok(Passed {
            digest,
            size,
            what: What::Layer(Box::new(taken)),
        })
    }

    fn document(&mut self, size: u64, head: Vec<u8>, content: &mut impl Read) -> Result<Passed> {
        if size > MAX_DOCUMENT || self.documents + size > MAX_DOCUMENTS {
            let digest = hash(&mut head.chain_with(content))?;
            return Ok(Passed {
                digest,
                size,
                what: What::Other,
            });
        }
        self.documents += size;
        let mut bytes = head;
        content.read_to_end(&mut bytes).map_err(read_error)?;
        Ok(Passed {
            digest: Digest::of(&bytes),
            size,
            what: What::Document(bytes),
        })
    }

    /// Whether the archive has this file.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A file that a document of the archive names.
    pub(super) fn get(&self, name: &str) -> Result<&Passed> {
        self.find(name)
            .and_then(|name| self.files.get(&name))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "the archive is incomplete: it names {name:?} but does not hold it"
                ))
            })
    }

    /// The blob with this digest, verified.
    pub(super) fn blob(&self, digest: &Digest) -> Result<&Passed> {
        let file = self.get(&blob_name(digest))?;
        if let What::Layer(layer) = &file.what
            && let Err(Error::Invalid(why)) = &**layer
        {
            return Err(Error::invalid(format!(
                "the archive is damaged: blob {digest}: {why}"
            )));
        }
        if file.digest != *digest {
            return Err(Error::invalid(format!(
                "the archive is damaged: the content of blob {digest} has the digest {}",
                file.digest
            )));
        }
        Ok(file)
    }

    /// The folders at the top that hold such a file, sorted.
    pub(super) fn folders_with(&self, file: &str) -> BTreeSet<&str> {
        let names = self.files.keys().chain(self.links.keys());
        let folders = names.filter_map(|name| name.split_once('/'));
        let folders = folders.filter(|(_, name)| *name == file);
        folders.map(|(folder, _)| folder).collect()
    }

    /// The digest of a layer's content, not compressed.
    pub(super) fn diff_id(&self, name: &str) -> Result<Digest> {
        let file = self.get(name)?;
        match &file.what {
            What::Layer(layer) => match &**layer {
                Ok((taken, _)) => Ok(taken.diff_id),
                Err(error) => Err(Error::invalid(error.to_string())),
            },
            What::Known | What::Gone => Ok(file.digest),
            What::Document(_) | What::Other => Err(not_a_layer(name)),
        }
    }

    /// Hands a layer out, once.
    pub(super) fn layer(&mut self, name: &str, diff_id: &Digest) -> Result<(Taken, Stage)> {
        let file = self
            .find(name)
            .and_then(|name| self.files.get_mut(&name))
            .ok_or_else(|| Error::invalid(format!("the archive does not hold {name:?}")))?;
        let wrong = |found: &Digest| {
            Error::invalid(format!(
                "layer verification failed: the image config promises diff id {diff_id}, the layer has {found}"
            ))
        };
        match std::mem::replace(&mut file.what, What::Gone) {
            What::Layer(layer) => {
                let (taken, stage) = (*layer)?;
                if taken.diff_id != *diff_id {
                    return Err(wrong(&taken.diff_id));
                }
                Ok((taken, stage))
            }
            What::Document(_) | What::Other => Err(not_a_layer(name)),
            What::Known | What::Gone => Err(wrong(&file.digest)),
        }
    }

    /// The name that a name stands for.
    fn find(&self, name: &str) -> Option<String> {
        let mut name = clean(name);
        for _ in 0..8 {
            if self.files.contains_key(&name) {
                return Some(name);
            }
            name = self.links.get(&name)?.clone();
        }
        None
    }
}

impl Passed {
    /// The content of a document.
    pub(super) fn document(&self) -> Result<&[u8]> {
        match &self.what {
            What::Document(bytes) => Ok(bytes),
            _ => Err(Error::invalid(format!(
                "a document of the archive is larger than {MAX_DOCUMENT} bytes, or is none"
            ))),
        }
    }
}

fn not_a_layer(name: &str) -> Error {
    Error::invalid(format!(
        "not a valid tar archive: {name:?}, which the archive names as a layer"
    ))
}

/// Where an OCI layout has a blob.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The layer of the store that is, or came as, this.
fn known(index: &Snapshot, digest: &Digest) -> Option<Digest> {
    if index.layers.contains_key(digest) {
        return Some(*digest);
    }
    let mut rows = index.layers.iter();
    rows.find(|(_, row)| row.blob == *digest && !row.local)
        .map(|(diff_id, _)| *diff_id)
}

/// The digest in `blobs/sha256/<hex>`, `<hex>/layer.tar` or `<hex>.tar`.
fn hex_of(name: &str) -> Option<Digest> {
    let name = name.strip_suffix("/layer.tar").unwrap_or(name);
    let name = name.strip_suffix(".tar").unwrap_or(name);
    Digest::from_hex(name.rsplit('/').next()?)
}

/// Whether a block begins an archive: a header whose checksum is right, or the end of an empty one.
fn is_archive(head: &[u8]) -> bool {
    let Some(block) = head.get(..BLOCK) else {
        return false;
    };
    if block.iter().all(|&byte| byte == 0) {
        return true;
    }
    let digits: String = block[148..156]
        .iter()
        .map(|&byte| char::from(byte))
        .filter(|character| character.is_digit(8))
        .collect();
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, &byte)| {
            if (148..156).contains(&at) {
                32
            } else {
                u32::from(byte)
            }
        })
        .sum();
    u32::from_str_radix(&digits, 8).is_ok_and(|said| said == sum)
}

fn hash(content: &mut impl Read) -> Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match content.read(&mut buffer).map_err(read_error)? {
            0 => return Ok(Digest::finish(hasher)),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Puts bytes back in front of what is read.
trait ChainWith {
    fn chain_with<R: Read>(self, rest: R) -> io::Chain<io::Cursor<Vec<u8>>, R>;
}

impl ChainWith for Vec<u8> {
    fn chain_with<R: Read>(self, rest: R) -> io::Chain<io::Cursor<Vec<u8>>, R> {
        io::Cursor::new(self).chain(rest)
    }
}

/// Tells how much of a layer was read.
struct Metered<'a, R> {
    source: R,
    /// The layer's name in messages; nothing is told without.
    id: Option<String>,
    done: u64,
    told: u64,
    total: u64,
    reporter: &'a Reporter,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.done += count as u64;
        if self.done - self.told >= STEP
            && let Some(id) = &self.id
        {
            self.told = self.done;
            let line = PullProgress::measured(id, "Loading layer", self.done, self.total);
            self.reporter.say_blocking(line);
        }
        Ok(count)
    }
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
