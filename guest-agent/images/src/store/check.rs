//! A full check of the store: every document, blob and layer against what the index says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};

use rustix::fs::FileType;

use super::{ImageRow, LayerRow, Snapshot, Store};
use crate::stream::{Decompressed, Tee};
use crate::unpack::{Content, Entries, Node, member_path};
use crate::{Digest, Error, ImageConfig, Reference, Result};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// Images that were looked at.
    pub images: usize,
    /// Layers that were looked at.
    pub layers: usize,
    /// Bytes of blobs that were read.
    pub bytes: u64,
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong or odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Something is missing or damaged; else it is only in the way.
    pub damage: bool,
    /// What, and what to do about it.
    pub what: String,
}

impl StoreReport {
    /// Whether nothing is missing or damaged.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| !finding.damage)
    }

    fn damage(&mut self, what: impl Into<String>) {
        self.findings.push(Finding {
            damage: true,
            what: what.into(),
        });
    }

    fn odd(&mut self, what: impl Into<String>) {
        self.findings.push(Finding {
            damage: false,
            what: what.into(),
        });
    }
}

impl Store {
    /// Checks everything; with `deep` every blob is read and compared with its layer. Blocks, for
    /// as long as reading all of it takes.
    pub fn check(&self, deep: bool) -> Result<StoreReport> {
        let mut report = StoreReport::default();
        // Layers that come and go meanwhile are nobody's fault.
        let import = super::Import::new(self.inner.clone());
        let index = self.inner.index.reread()?;
        for diff_id in index.layers.keys() {
            import.hold(diff_id);
        }
        for (id, row) in &index.images {
            report.images += 1;
            if let Err(error) = self.check_image(&index, id, row) {
                report.damage(format!(
                    "image {}: {error}; pull, load or build it again",
                    id.short()
                ));
            }
        }
        for (name, id) in &index.names {
            if !index.images.contains_key(id) {
                report.damage(format!(
                    "{name} names image {}, which is missing",
                    id.short()
                ));
            }
            if Reference::parse(name).is_err() {
                report.damage(format!("{name:?} is not a name"));
            }
        }
        for (diff_id, row) in &index.layers {
            report.layers += 1;
            match self.check_layer(diff_id, row, deep) {
                Ok(bytes) => report.bytes += bytes,
                Err(error) => report.damage(format!(
                    "layer {}: {error}; remove the images that have it and pull them again",
                    diff_id.short()
                )),
            }
        }
        self.check_leftovers(&index, &mut report)?;
        Ok(report)
    }

    fn check_image(&self, index: &Snapshot, id: &Digest, row: &ImageRow) -> Result<()> {
        let config = self.inner.index.config(id)?;
        let config = config.ok_or_else(|| Error::invalid("its configuration is missing"))?;
        if Digest::of(&config) != *id {
            return Err(Error::invalid("its configuration is damaged"));
        }
        if ImageConfig::parse(&config)?.diff_ids()? != row.layers {
            return Err(Error::invalid(
                "it lists other layers than its configuration",
            ));
        }
        for layer in &row.layers {
            if !index.layers.contains_key(layer) {
                return Err(Error::invalid(format!("layer {layer} is missing")));
            }
        }
        for digest in [row.manifest, row.index].into_iter().flatten() {
            match self.inner.index.document(&digest)? {
                Some(bytes) if Digest::of(&bytes) == digest => {}
                Some(_) => return Err(Error::invalid(format!("manifest {digest} is damaged"))),
                None => return Err(Error::invalid(format!("manifest {digest} is missing"))),
            }
        }
        Ok(())
    }

    /// Returns the bytes that were read.
    pub(super) fn check_layer(&self, diff_id: &Digest, row: &LayerRow, deep: bool) -> Result<u64> {
        let files = &self.inner.files;
        if !files.layer(diff_id).is_dir() {
            return Err(Error::invalid("its files are missing"));
        }
        let path = files.blob(&row.blob);
        let size = fs::metadata(&path)
            .map_err(|_| Error::invalid("its blob is missing"))?
            .len();
        if size != row.blob_size {
            return Err(Error::invalid(format!(
                "its blob has {size} bytes instead of {}",
                row.blob_size
            )));
        }
        if !deep {
            return Ok(0);
        }
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let mut content = Tee::new(Decompressed::new(Tee::new(file))?);
        let expected = list(&mut content)?;
        let (decompressed, plain, _) = content.finish();
        let (_, blob, _) = decompressed.into_source()?.finish();
        if blob != row.blob {
            return Err(Error::invalid("its blob is damaged"));
        }
        if plain != *diff_id {
            return Err(Error::invalid("its blob holds another layer"));
        }
        self.compare(diff_id, &expected)?;
        Ok(size)
    }

    /// Looks for every file of a layer in its directory.
    fn compare(&self, diff_id: &Digest, expected: &BTreeMap<Vec<u8>, u64>) -> Result<()> {
        let merged = self.merged(&[*diff_id])?;
        let mut found = BTreeMap::new();
        merged.walk_layer(0, &mut |raw| {
            if FileType::from_raw_mode(raw.stat.st_mode) == FileType::RegularFile {
                let size = u64::try_from(raw.stat.st_size).unwrap_or(0);
                found.insert(raw.path.to_vec(), size);
            }
            true
        })?;
        for (path, size) in expected {
            let shown = String::from_utf8_lossy(path);
            match found.get(path) {
                Some(known) if known == size => {}
                Some(known) => {
                    return Err(Error::invalid(format!(
                        "its file /{shown} has {known} bytes instead of {size}"
                    )));
                }
                // A path through a link is another one in the directory.
                None if merged.follow(path)?.is_some() => {}
                None => return Err(Error::invalid(format!("its file /{shown} is missing"))),
            }
        }
        Ok(())
    }

    fn check_leftovers(&self, index: &Snapshot, report: &mut StoreReport) -> Result<()> {
        let blobs: BTreeSet<Digest> = index.layers.values().map(|row| row.blob).collect();
        let layer = |digest: &Digest| index.layers.contains_key(digest);
        for digest in self
            .inner
            .files
            .strangers(layer, |digest| blobs.contains(digest))?
        {
            report.odd(format!(
                "{digest} belongs to no image; it is removed when the engine starts, unless it is on its way in"
            ));
        }
        Ok(())
    }
}

/// The regular files that an archive makes, with their sizes.
fn list(content: impl std::io::Read) -> Result<BTreeMap<Vec<u8>, u64>> {
    let mut entries = Entries::new(content);
    let mut files = BTreeMap::new();
    while let Some(entry) = entries.next()? {
        if let Some(path) = member_path(&entry.path)? {
            let below = [path.as_slice(), b"/"].concat();
            if !matches!(entry.node, Node::Directory) {
                // Whatever was there is replaced, with all below it.
                let gone: Vec<Vec<u8>> = files
                    .range(below.clone()..)
                    .take_while(|(known, _): &(&Vec<u8>, &u64)| known.starts_with(&below))
                    .map(|(known, _)| known.clone())
                    .collect();
                for known in gone {
                    files.remove(&known);
                }
            }
            files.remove(&path);
            if let Node::File(Content::Plain(size) | Content::Sparse { size, .. }) = entry.node {
                files.insert(path, size);
            }
        }
        entries.finish_entry()?;
    }
    entries.drain()?;
    Ok(files)
}
