//! An image's layers and files, looked at without running it.

mod changes;
mod waste;

use std::fs::File;
use std::path::PathBuf;

use rustix::fs::{FileType, Stat};

pub use self::changes::{Change, Changes};
pub use self::waste::{Waste, WastedFile};
use crate::merged::{Merged, Node};
use crate::{Digest, Error, Image, Result, Store};

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerInfo {
    /// The plain archive's digest.
    pub diff_id: Digest,
    /// The digest of the blob that it is kept as.
    pub blob: Digest,
    /// The blob's size.
    pub blob_size: u64,
    /// Bytes of its files.
    pub size: u64,
    /// The step that made it, as the image's history says.
    pub created_by: String,
    /// When, in RFC 3339; empty when the history does not say.
    pub created: String,
}

/// What a layer does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It is new.
    Added,
    /// A layer below has it, too.
    Changed,
    /// A layer below has it, and it is gone.
    Removed,
}

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From `/`.
    pub path: String,
    /// `file`, `directory`, `symlink`, `fifo`, `character device`, `block device`.
    pub kind: &'static str,
    /// Bytes of a file.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub modified: i64,
    /// Where a symbolic link points to.
    pub target: Option<String>,
    /// The layer that shows it, counted from the lowest.
    pub layer: usize,
    /// What the layer does, when one was asked for.
    pub touch: Option<Touch>,
}

/// A file, opened.
#[derive(Debug)]
pub struct FileContent {
    /// What it is.
    pub entry: Entry,
    /// Its bytes.
    pub file: File,
}

impl Store {
    /// An image's layers, lowest first.
    pub fn layer_infos(&self, image: &Image) -> Result<Vec<LayerInfo>> {
        let index = self.inner().index.snapshot();
        let history = image.config.history();
        let mut steps = history.iter().filter(|step| !step.empty_layer);
        let mut infos = Vec::new();
        for diff_id in &image.layers {
            let step = steps.next();
            let row = index
                .layers
                .get(diff_id)
                .ok_or_else(|| Error::invalid(format!("layer {diff_id} is missing")))?;
            infos.push(LayerInfo {
                diff_id: *diff_id,
                blob: row.blob,
                blob_size: row.blob_size,
                size: row.size,
                created_by: step.map(|step| step.created_by.clone()).unwrap_or_default(),
                created: step
                    .and_then(|step| step.created.clone())
                    .unwrap_or_default(),
            });
        }
        Ok(infos)
    }

    /// The files below a directory: of the whole image, or of one layer (counted from the lowest).
    /// With `deep` all levels, else one. At most `limit`; whether there are more. Blocks.
    pub fn tree(
        &self,
        image: &Image,
        layer: Option<usize>,
        directory: &str,
        deep: bool,
        limit: usize,
    ) -> Result<(Vec<Entry>, bool)> {
        match layer {
            Some(layer) => self.layer_tree(image, layer, directory, deep, limit),
            None => self.image_tree(image, directory, deep, limit),
        }
    }

    fn image_tree(
        &self,
        image: &Image,
        directory: &str,
        deep: bool,
        limit: usize,
    ) -> Result<(Vec<Entry>, bool)> {
        let merged = self.merged(&image.layers)?;
        let top = merged
            .follow(directory.as_bytes())?
            .ok_or_else(|| no_such_file(directory))?;
        if !top.is_directory() {
            return Ok((vec![entry(&merged, &top)?], false));
        }
        let mut entries = Vec::new();
        let mut directories = vec![top];
        while let Some(at) = directories.pop() {
            let mut below = Vec::new();
            for node in merged.members(&at)?.into_values() {
                if entries.len() == limit {
                    return Ok((entries, true));
                }
                entries.push(entry(&merged, &node)?);
                if deep && node.is_directory() {
                    below.push(node);
                }
            }
            directories.extend(below.into_iter().rev());
        }
        Ok((entries, false))
    }

    fn layer_tree(
        &self,
        image: &Image,
        layer: usize,
        directory: &str,
        deep: bool,
        limit: usize,
    ) -> Result<(Vec<Entry>, bool)> {
        let merged = self.merged(one(image, layer)?)?;
        let below = self.merged(&image.layers[..layer])?;
        let directory = clean(directory);
        let (mut entries, mut more, mut failure) = (Vec::new(), false, None);
        merged.walk_layer(0, &mut |raw| {
            let inside = inside(&directory, raw.path);
            let Some(rest) = inside.filter(|rest| deep || !rest.contains(&b'/')) else {
                return true;
            };
            if rest.is_empty() {
                return true;
            }
            if entries.len() == limit {
                more = true;
                return false;
            }
            let known = match below.look(raw.path) {
                Ok(known) => known,
                Err(error) => {
                    failure = Some(error);
                    return false;
                }
            };
            let mut found = shown(raw.path, raw.stat, layer);
            found.touch = match (raw.whiteout, &known) {
                (true, _) => Some(Touch::Removed),
                (false, None) => Some(Touch::Added),
                // A directory that is only passed through.
                (false, Some(old)) if old.is_directory() && found.kind == "directory" => {
                    raw.opaque.then_some(Touch::Changed)
                }
                (false, Some(_)) => Some(Touch::Changed),
            };
            if raw.whiteout
                && let Some(old) = &known
            {
                found = Entry {
                    touch: Some(Touch::Removed),
                    ..shown(raw.path, &old.stat, layer)
                };
            }
            entries.push(found);
            true
        })?;
        match failure {
            Some(error) => Err(error),
            None => {
                entries.sort_by(|a, b| a.path.cmp(&b.path));
                Ok((entries, more))
            }
        }
    }

    /// Whether a path of an image leads to a directory. Blocks.
    pub fn has_directory(&self, image: &Image, path: &str) -> Result<bool> {
        let found = self.merged(&image.layers)?.follow(path.as_bytes())?;
        Ok(found.is_some_and(|node| node.is_directory()))
    }

    /// A file of an image, or of one of its layers. Links are followed in the image only. Blocks.
    pub fn open_file(
        &self,
        image: &Image,
        layer: Option<usize>,
        path: &str,
    ) -> Result<FileContent> {
        let merged = match layer {
            Some(layer) => self.merged(one(image, layer)?)?,
            None => self.merged(&image.layers)?,
        };
        let found = match layer {
            Some(_) => merged.look(&clean(path))?,
            None => merged.follow(path.as_bytes())?,
        };
        let node = found.ok_or_else(|| no_such_file(path))?;
        if FileType::from_raw_mode(node.stat.st_mode) != FileType::RegularFile {
            return Err(Error::invalid(format!(
                "{path} is no file but a {}",
                kind(&node.stat)
            )));
        }
        let mut entry = entry(&merged, &node)?;
        if let Some(layer) = layer {
            entry.layer = layer;
        }
        Ok(FileContent {
            entry,
            file: merged.open(&node)?,
        })
    }

    /// The merged files of layers given lowest first.
    pub(crate) fn merged(&self, layers: &[Digest]) -> Result<Merged> {
        let files = &self.inner().files;
        let layers = layers.iter().rev().map(|id| (*id, files.layer(id)));
        Merged::open_all(layers.collect::<Vec<(Digest, PathBuf)>>())
    }
}

fn one(image: &Image, layer: usize) -> Result<&[Digest]> {
    image.layers.get(layer..=layer).ok_or_else(|| {
        Error::NotFound(format!(
            "the image has {} layers, and no layer {layer}: they are counted from 0, the lowest",
            image.layers.len()
        ))
    })
}

fn no_such_file(path: &str) -> Error {
    Error::NotFound(format!("the image has no file {path}"))
}

fn entry(merged: &Merged, node: &Node) -> Result<Entry> {
    let layer = merged.depth() - 1 - node.place();
    let mut entry = shown(&node.path, &node.stat, layer);
    if entry.kind == "symlink" {
        let target = merged.target(node)?;
        entry.target = Some(String::from_utf8_lossy(&target).into_owned());
    }
    Ok(entry)
}

fn shown(path: &[u8], stat: &Stat, layer: usize) -> Entry {
    let kind = kind(stat);
    Entry {
        path: format!("/{}", String::from_utf8_lossy(path)),
        kind,
        size: if kind == "file" {
            u64::try_from(stat.st_size).unwrap_or(0)
        } else {
            0
        },
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        modified: stat.st_mtime as _,
        target: None,
        layer,
        touch: None,
    }
}

fn kind(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        _ => "other",
    }
}

/// A path without empty, `.` and `..` components, relative to the root.
fn clean(path: &str) -> Vec<u8> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/").into_bytes()
}

/// What is left of a path below a directory.
fn inside<'a>(directory: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    if directory.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(directory)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix(b"/")
}
