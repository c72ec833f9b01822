//! A container's writable directory as the topmost layer of a new image: packed, hashed,
//! compressed and unpacked into the store in one pass.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::{Import, LayerRow, NewImage, Store};
use crate::pack::{Form, Packer};
use crate::stream::Tee;
use crate::unpack::unpack;
use crate::{Digest, Error, Reference, Result};

/// Pieces between packing and unpacking.
const QUEUE: usize = 8;
/// Fast rather than small: most of what containers write is never sent anywhere. zstd keeps up
/// with disks, which gzip does not by far.
const LEVEL: i32 = 1;

/// What a new image is made from.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The image below, if it is in the store.
    pub parent: Option<Digest>,
    /// Its layers, lowest first.
    pub layers: &'a [Digest],
    /// overlayfs's writable directory.
    pub upper: &'a Path,
    /// Name to give the image.
    pub name: Option<&'a Reference>,
}

/// What became of the writable directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommittedLayer {
    /// The new layer; nothing when the directory is empty.
    pub diff_id: Option<Digest>,
}

impl Store {
    /// Makes an image. `packed` is called when the directory is not needed any more, `describe`
    /// writes the configuration document. Blocks.
    ///
    /// # Errors
    /// When the directory cannot be read or holds what no layer can, or the store cannot be
    /// written. Nothing stays then.
    pub fn commit(
        &self,
        commit: &Commit<'_>,
        packed: impl FnOnce() + Send,
        describe: impl FnOnce(CommittedLayer) -> Result<Vec<u8>>,
    ) -> Result<Digest> {
        let import = Import::new(self.inner.clone());
        for diff_id in commit.layers {
            import.hold(diff_id)?;
        }
        let layer = take_layer(&import, commit.upper, packed)?;
        let config = describe(layer)?;
        let id = Digest::of(&config);
        import.commit(vec![NewImage {
            id,
            config,
            names: commit.name.into_iter().cloned().collect(),
            parent: commit.parent,
        }])?;
        Ok(id)
    }
}

fn take_layer(
    import: &Import,
    upper: &Path,
    packed: impl FnOnce() + Send,
) -> Result<CommittedLayer> {
    let directory = File::open(upper).map_err(Error::io("open", upper))?;
    let stage = import.store().files.stage()?;
    let (tree, blob) = (stage.path().join("tree"), stage.path().join("blob"));
    std::fs::create_dir(&tree).map_err(Error::io("create", &tree))?;
    let (sender, pieces) = sync_channel(QUEUE);
    let (packing, unpacking) = std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let done = pack(&directory, sender);
            packed();
            done
        });
        let unpacking = unpack_and_compress(pieces, &tree, &blob);
        (packing.join().unwrap_or(Err(Error::Interrupted)), unpacking)
    });
    // A reader that gave up is why a writer is interrupted; a writer that failed is why a reader
    // finds an end too early.
    match packing {
        Err(error) if !matches!(error, Error::Interrupted) => return Err(error),
        _ => {}
    }
    let (diff_id, row) = unpacking?;
    packing?;
    if row.is_empty {
        return Ok(CommittedLayer { diff_id: None });
    }
    if !import.hold(&diff_id)? {
        import.publish(&diff_id, &tree, &blob, &row.row)?;
    }
    Ok(CommittedLayer {
        diff_id: Some(diff_id),
    })
}

fn pack(directory: &File, sender: SyncSender<Bytes>) -> Result<()> {
    let mut packer = Packer::new(Form::Layer, |piece| sender.send(piece).is_ok());
    packer.members(directory.as_fd(), b"")?;
    packer.finish()
}

struct Row {
    row: LayerRow,
    /// The archive is only its end mark.
    is_empty: bool,
}

fn unpack_and_compress(pieces: Receiver<Bytes>, tree: &Path, blob: &Path) -> Result<(Digest, Row)> {
    let file = File::create_new(blob).map_err(Error::io("create", blob))?;
    let hashed = Hashed {
        file: BufWriter::new(file),
        hasher: Sha256::new(),
        count: 0,
    };
    let compressed = zstd::Encoder::new(hashed, LEVEL).map_err(Error::io("compress", blob))?;
    let mut content = Tee::new(Copying {
        pieces,
        current: Bytes::new(),
        copy: compressed,
    });
    let size = unpack(&mut content, tree)?;
    let (copying, diff_id, length) = content.finish();
    let written = Error::io("write", blob);
    let (hasher, count) = copying
        .copy
        .finish()
        .and_then(|mut hashed| {
            hashed.file.flush()?;
            Ok((hashed.hasher, hashed.count))
        })
        .map_err(written)?;
    let row = LayerRow {
        size,
        blob: Digest::finish(hasher),
        blob_size: count,
    };
    let is_empty = length <= 1024;
    Ok((diff_id, Row { row, is_empty }))
}

/// Reads pieces and writes a copy of them.
struct Copying<W> {
    pieces: Receiver<Bytes>,
    current: Bytes,
    copy: W,
}

impl<W: Write> Read for Copying<W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => {
                    self.copy.write_all(&piece)?;
                    self.current = piece;
                }
                Err(_) => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Counts and hashes what goes into a file.
struct Hashed {
    file: BufWriter<File>,
    hasher: Sha256,
    count: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
