//! Bytes that an image carries and nobody sees: files that a layer above replaces or removes.

use std::collections::BTreeMap;

use rustix::fs::FileType;

use crate::{Image, Result, Store};

/// What an image wastes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waste {
    /// Bytes of all layers' files.
    pub total: u64,
    /// Bytes of those that nobody sees.
    pub wasted: u64,
    /// The files, the largest waste first.
    pub files: Vec<WastedFile>,
}

/// A path whose bytes are carried more than once, or for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WastedFile {
    /// From `/`.
    pub path: String,
    /// Bytes that nobody sees.
    pub wasted: u64,
    /// Layers that carry it.
    pub copies: u32,
    /// It is gone from the image altogether.
    pub removed: bool,
}

#[derive(Default)]
struct Tally {
    /// What a container sees by now.
    live: BTreeMap<Vec<u8>, u64>,
    /// Wasted bytes and copies.
    wasted: BTreeMap<Vec<u8>, (u64, u32)>,
}

impl Store {
    /// Finds the files that nobody sees. Blocks.
    pub fn waste(&self, image: &Image) -> Result<Waste> {
        let merged = self.merged(&image.layers)?;
        let mut tally = Tally::default();
        for place in (0..merged.depth()).rev() {
            let (mut hidden, mut files) = (Vec::new(), Vec::new());
            merged.walk_layer(place, &mut |raw| {
                let kind = FileType::from_raw_mode(raw.stat.st_mode);
                if raw.whiteout || raw.opaque || kind != FileType::Directory {
                    hidden.push(raw.path.to_vec());
                }
                // A file with several names is carried once.
                if kind == FileType::RegularFile {
                    let size = u64::try_from(raw.stat.st_size).unwrap_or(0);
                    files.push((
                        raw.path.to_vec(),
                        (raw.stat.st_ino, raw.stat.st_nlink),
                        size,
                    ));
                }
                true
            })?;
            for path in hidden {
                tally.hide(&path);
            }
            let mut linked = std::collections::HashSet::new();
            for (path, (inode, links), size) in files {
                let counted = links > 1 && !linked.insert(inode);
                tally.live.insert(path, if counted { 0 } else { size });
            }
        }
        Ok(tally.finish(image.size))
    }
}

impl Tally {
    /// Takes a path, and all below it, out of sight.
    fn hide(&mut self, path: &[u8]) {
        let below = [path, b"/"].concat();
        let mut gone: Vec<Vec<u8>> = self
            .live
            .range(below.clone()..)
            .take_while(|(known, _)| known.starts_with(&below))
            .map(|(known, _)| known.clone())
            .collect();
        gone.push(path.to_vec());
        for path in gone {
            if let Some(size) = self.live.remove(&path) {
                let wasted = self.wasted.entry(path).or_default();
                wasted.0 += size;
                wasted.1 += 1;
            }
        }
    }

    fn finish(self, total: u64) -> Waste {
        let mut files: Vec<WastedFile> = self
            .wasted
            .into_iter()
            .filter(|(_, (size, _))| *size > 0)
            .map(|(path, (wasted, copies))| {
                let removed = !self.live.contains_key(&path);
                WastedFile {
                    path: format!("/{}", String::from_utf8_lossy(&path)),
                    wasted,
                    copies: copies + u32::from(!removed),
                    removed,
                }
            })
            .collect();
        files.sort_by(|a, b| b.wasted.cmp(&a.wasted).then_with(|| a.path.cmp(&b.path)));
        Waste {
            total,
            wasted: files.iter().map(|file| file.wasted).sum(),
            files,
        }
    }
}
