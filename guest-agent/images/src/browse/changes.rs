//! What is different between two images: files, configuration, layers and sizes.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use rustix::fs::FileType;
use serde_json::Value;

use super::{Entry, Touch, entry};
use crate::merged::{Merged, Node};
use crate::sparse::next_data;
use crate::{Digest, Image, Result, Store};

/// Files are compared in pieces of this size.
const PIECE: usize = 64 * 1024;

/// What is different between two images.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// Files, in order of path.
    pub files: Vec<Change>,
    /// Settings of the configuration: name, before and after.
    pub config: Vec<(String, Value, Value)>,
    /// Layers that both have.
    pub shared_layers: Vec<Digest>,
    /// Layers that only the first has.
    pub removed_layers: Vec<Digest>,
    /// Layers that only the second has.
    pub added_layers: Vec<Digest>,
}

/// A file that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened on the way from the first to the second.
    pub touch: Touch,
    /// What it was.
    pub before: Option<Entry>,
    /// What it is.
    pub after: Option<Entry>,
}

impl Store {
    /// Compares two images. Blocks.
    pub fn changes(&self, before: &Image, after: &Image) -> Result<Changes> {
        let comparison = Comparison {
            before: self.merged(&before.layers)?,
            after: self.merged(&after.layers)?,
        };
        let missing = |list: &[Digest], other: &[Digest]| -> Vec<Digest> {
            let missing = list.iter().filter(|id| !other.contains(id));
            missing.copied().collect()
        };
        let shared = before.layers.iter().filter(|id| after.layers.contains(id));
        Ok(Changes {
            files: comparison.run()?,
            config: config(before, after),
            shared_layers: shared.copied().collect(),
            removed_layers: missing(&before.layers, &after.layers),
            added_layers: missing(&after.layers, &before.layers),
        })
    }
}

struct Comparison {
    before: Merged,
    after: Merged,
}

impl Comparison {
    fn run(&self) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        let mut pairs = vec![(self.before.look(b"")?, self.after.look(b"")?)];
        while let Some((old, new)) = pairs.pop() {
            if let (Some(old), Some(new)) = (&old, &new)
                && self.before.origin(old) == self.after.origin(new)
            {
                // The same layers show the same.
                continue;
            }
            self.note(old.as_ref(), new.as_ref(), &mut changes)?;
            let mut members = std::collections::BTreeMap::new();
            for node in members_of(&self.before, old.as_ref())? {
                members.insert(node.path.clone(), (Some(node), None));
            }
            for node in members_of(&self.after, new.as_ref())? {
                let pair = members.entry(node.path.clone()).or_insert((None, None));
                pair.1 = Some(node);
            }
            pairs.extend(members.into_values());
        }
        let path = |change: &Change| {
            let entry = change.after.as_ref().or(change.before.as_ref());
            entry.map(|entry| entry.path.clone())
        };
        changes.sort_by_cached_key(path);
        Ok(changes)
    }

    fn note(
        &self,
        old: Option<&Node>,
        new: Option<&Node>,
        changes: &mut Vec<Change>,
    ) -> Result<()> {
        let touch = match (old, new) {
            (Some(old), Some(new)) if self.same(old, new)? => return Ok(()),
            (Some(_), Some(_)) => Touch::Changed,
            (None, Some(_)) => Touch::Added,
            (Some(_), None) => Touch::Removed,
            (None, None) => return Ok(()),
        };
        // The root is neither added nor removed.
        if old.or(new).is_some_and(|node| node.path.is_empty()) && touch != Touch::Changed {
            return Ok(());
        }
        changes.push(Change {
            touch,
            before: old.map(|node| entry(&self.before, node)).transpose()?,
            after: new.map(|node| entry(&self.after, node)).transpose()?,
        });
        Ok(())
    }

    fn same(&self, old: &Node, new: &Node) -> Result<bool> {
        let (a, b) = (&old.stat, &new.stat);
        if (a.st_mode, a.st_uid, a.st_gid) != (b.st_mode, b.st_uid, b.st_gid) {
            return Ok(false);
        }
        let same = match FileType::from_raw_mode(a.st_mode) {
            FileType::Directory => return Ok(true),
            FileType::Symlink => self.before.target(old)? == self.after.target(new)?,
            FileType::RegularFile => a.st_size == b.st_size && self.same_content(old, new)?,
            _ => a.st_rdev == b.st_rdev,
        };
        Ok(same && self.before.attributes(old)? == self.after.attributes(new)?)
    }

    fn same_content(&self, old: &Node, new: &Node) -> Result<bool> {
        let failed = |path: &[u8]| {
            let path = String::from_utf8_lossy(path).into_owned();
            crate::Error::io("read", path.as_ref())
        };
        let files = [self.before.open(old)?, self.after.open(new)?];
        let mut pieces = [vec![0; PIECE], vec![0; PIECE]];
        let mut at = 0;
        // Where both have holes they have the same: holes may be of any size.
        while let Some(data) = files
            .iter()
            .filter_map(|file| next_data(file.as_fd(), at))
            .min()
        {
            let mut counts = [0; 2];
            for ((file, piece), count) in files.iter().zip(&mut pieces).zip(&mut counts) {
                *count = read_at(file, piece, data).map_err(failed(&old.path))?;
            }
            if pieces[0][..counts[0]] != pieces[1][..counts[1]] {
                return Ok(false);
            }
            if counts[0] == 0 {
                break;
            }
            at = data + counts[0] as u64;
        }
        Ok(true)
    }
}

/// Fills a piece as far as the file goes.
fn read_at(file: &File, piece: &mut [u8], at: u64) -> std::io::Result<usize> {
    let mut done = 0;
    while done < piece.len() {
        match file.read_at(&mut piece[done..], at + done as u64)? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

fn members_of(merged: &Merged, node: Option<&Node>) -> Result<Vec<Node>> {
    match node.filter(|node| node.is_directory()) {
        Some(node) => Ok(merged.members(node)?.into_values().collect()),
        None => Ok(Vec::new()),
    }
}

/// Settings that are different. Lists are compared as wholes; the environment, labels and the like
/// name by name.
fn config(before: &Image, after: &Image) -> Vec<(String, Value, Value)> {
    let mut changes = Vec::new();
    let mut compare = |name: String, old: &Value, new: &Value| {
        if old != new {
            changes.push((name, old.clone(), new.clone()));
        }
    };
    let (old, new) = (flat(before), flat(after));
    let null = Value::Null;
    for (name, value) in &old {
        compare(name.clone(), value, new.get(name).unwrap_or(&null));
    }
    for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        compare(name.clone(), &null, value);
    }
    changes
}

fn flat(image: &Image) -> std::collections::BTreeMap<String, Value> {
    let mut settings = std::collections::BTreeMap::new();
    for name in ["architecture", "os", "variant", "author"] {
        if let Some(value) = image.config.value().get(name) {
            settings.insert(name.to_owned(), value.clone());
        }
    }
    for (name, value) in image.config.runtime().into_iter().flatten() {
        match (name.as_str(), value) {
            ("Env", Value::Array(list)) => {
                for variable in list.iter().filter_map(Value::as_str) {
                    let (key, value) = variable.split_once('=').unwrap_or((variable, ""));
                    settings.insert(format!("Env.{key}"), value.into());
                }
            }
            (_, Value::Object(map)) => {
                for (key, value) in map {
                    settings.insert(format!("{name}.{key}"), value.clone());
                }
            }
            (_, Value::Null) => {}
            _ => {
                settings.insert(name.clone(), value.clone());
            }
        }
    }
    settings
}
