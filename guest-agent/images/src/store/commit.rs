//! A container's writable directory as the topmost layer of a new image: packed, hashed,
//! compressed and unpacked into the store in one pass.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;

use super::versions::{How, Origin};
use super::{Import, NewImage, Store};
use crate::layer::{Taken, take_plain};
use crate::pack::{Form, Packer};
use crate::{Digest, Error, Reference, Result};

/// Pieces between packing and unpacking.
const QUEUE: usize = 8;

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
    /// The client that asks.
    pub by: &'a str,
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
            import.hold(diff_id);
        }
        let layer = take_layer(&import, commit.upper, packed)?;
        let config = describe(layer)?;
        let id = Digest::of(&config);
        let image = NewImage {
            config,
            names: commit.name.into_iter().cloned().collect(),
            parent: commit.parent,
            ..NewImage::default()
        };
        import.commit(vec![image], &Origin::new(How::Commit, commit.by))?;
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
    let (sender, pieces) = sync_channel(QUEUE);
    let (packing, taking) = std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let done = pack(&directory, sender);
            packed();
            done
        });
        let content = Pieces {
            pieces,
            current: Bytes::new(),
        };
        let taking = take_plain(content, &stage).and_then(Taken::whole);
        (packing.join().unwrap_or(Err(Error::Interrupted)), taking)
    });
    // A reader that gave up is why a writer is interrupted; a writer that failed is why a reader
    // finds an end too early.
    match packing {
        Err(error) if !matches!(error, Error::Interrupted) => return Err(error),
        _ => {}
    }
    let taken = taking?;
    packing?;
    // The archive is only its end mark.
    if taken.row.tar_size <= 1024 {
        return Ok(CommittedLayer { diff_id: None });
    }
    if !import.hold(&taken.diff_id) {
        import.publish(&taken.diff_id, &taken.tree, &taken.blob, &taken.row)?;
    }
    Ok(CommittedLayer {
        diff_id: Some(taken.diff_id),
    })
}

fn pack(directory: &File, sender: SyncSender<Bytes>) -> Result<()> {
    let mut packer = Packer::new(Form::Layer, |piece| sender.send(piece).is_ok());
    packer.members(directory.as_fd(), b"")?;
    packer.finish()
}

/// Reads pieces as they come.
struct Pieces {
    pieces: Receiver<Bytes>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.current = piece,
                Err(_) => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}
