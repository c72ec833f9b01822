//! One layer: decompressed, hashed and unpacked in one pass, or, when it comes as a plain archive,
//! unpacked, hashed and compressed in one pass.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::remove_tree::remove_tree;
use crate::store::{LayerRow, Stage};
use crate::stream::{Decompressed, Tee, read_error};
use crate::unpack::{Below, Nothing, Written, unpack};
use crate::{Digest, Error, Result};

/// Pieces between unpacking and compressing.
const QUEUE: usize = 16;
/// Fast rather than small: most of what is loaded is never sent anywhere. zstd keeps up with
/// disks, which gzip does not by far.
const LEVEL: i32 = 1;

/// A layer that lies unpacked in a stage, verified against its diff id.
pub(crate) struct Unpacked {
    /// The directory.
    pub(crate) tree: PathBuf,
    /// Sum of the files' sizes.
    pub(crate) size: u64,
    /// The archive's size when it is not compressed.
    pub(crate) tar_size: u64,
    /// The layers below that files were copied from.
    pub(crate) borrowed: Vec<Digest>,
}

/// Unpacks the blob that `source` yields into `stage`, reads `source` to its end, checks the
/// content's digest, and returns the source for the caller's own check.
pub(crate) fn unpack_layer<R: Read>(
    source: R,
    diff_id: &Digest,
    stage: &Stage,
    below: &dyn Below,
) -> Result<(Unpacked, R)> {
    let tree = new_tree(stage)?;
    let mut content = Tee::new(Decompressed::new(source)?);
    let written = unpack(&mut content, &tree, below)?;
    let (decompressed, digest, tar_size) = content.finish();
    if digest != *diff_id {
        return Err(Error::invalid(format!(
            "layer verification failed: the image config promises diff id {diff_id}, the layer has {digest}"
        )));
    }
    let unpacked = Unpacked {
        tree,
        size: written.size,
        tar_size,
        borrowed: written.borrowed,
    };
    Ok((unpacked, decompressed.into_source()?))
}

/// A layer that was taken before anything was known of it.
pub(crate) struct Taken {
    pub(crate) diff_id: Digest,
    /// The directory.
    pub(crate) tree: PathBuf,
    /// The copy to keep.
    pub(crate) blob: PathBuf,
    /// Sizes and borrowings count once it is unpacked.
    pub(crate) row: LayerRow,
    /// What is wrong with unpacking it; the copy is complete all the same.
    pub(crate) refused: Option<Error>,
}

impl Taken {
    /// Fails when it could not be unpacked.
    pub(crate) fn whole(self) -> Result<Self> {
        match self.refused {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// Unpacks it from the copy, now that the layers below are known.
    pub(crate) fn again(mut self, below: &dyn Below) -> Result<Self> {
        remove_tree(&self.tree)?;
        std::fs::create_dir(&self.tree).map_err(Error::io("create", &self.tree))?;
        let file = File::open(&self.blob).map_err(Error::io("open", &self.blob))?;
        let written = unpack(Decompressed::new(file)?, &self.tree, below)?;
        self.row.size = written.size;
        self.row.borrowed = written.borrowed;
        self.refused = None;
        Ok(self)
    }
}

/// Unpacks a plain archive into `stage` and keeps a compressed copy there.
pub(crate) fn take_plain(content: impl Read, stage: &Stage) -> Result<Taken> {
    let tree = new_tree(stage)?;
    let blob = stage.path().join("blob");
    let file = File::create_new(&blob).map_err(Error::io("create", &blob))?;
    let (sender, pieces) = sync_channel(QUEUE);
    let (written, copied) = std::thread::scope(|scope| {
        let copying = scope.spawn(|| compress(pieces, file, &blob));
        let mut split = Split {
            source: content,
            copy: sender,
        };
        let written = unpack_or_drain(&mut split, &tree);
        drop(split);
        (written, copying.join().unwrap_or(Err(Error::Interrupted)))
    });
    // A copy that failed is why the reader fails, and its reason is the better one.
    let copied = copied?;
    let (written, refused) = written?;
    let row = LayerRow {
        size: written.size,
        blob: copied.blob,
        blob_size: copied.blob_size,
        tar_size: copied.tar_size,
        local: true,
        found_in: Vec::new(),
        borrowed: written.borrowed,
    };
    Ok(Taken {
        diff_id: copied.diff_id,
        tree,
        blob,
        row,
        refused,
    })
}

/// Unpacks a compressed archive into `stage` and keeps a copy there as it came.
pub(crate) fn take_compressed(content: impl Read, stage: &Stage) -> Result<Taken> {
    let tree = new_tree(stage)?;
    let blob = stage.path().join("blob");
    let source = Tee::copying(content, &blob)?;
    let mut archive = Tee::new(Decompressed::new(source)?);
    let (written, refused) = unpack_or_drain(&mut archive, &tree)?;
    let (decompressed, diff_id, tar_size) = archive.finish();
    let (_, digest, blob_size) = decompressed.into_source()?.finish();
    let row = LayerRow {
        size: written.size,
        blob: digest,
        blob_size,
        tar_size,
        local: false,
        found_in: Vec::new(),
        borrowed: Vec::new(),
    };
    Ok(Taken {
        diff_id,
        tree,
        blob,
        row,
        refused,
    })
}

/// Unpacks, and reads to the end what can't be unpacked.
fn unpack_or_drain(source: &mut impl Read, tree: &Path) -> Result<(Written, Option<Error>)> {
    match unpack(&mut *source, tree, &Nothing) {
        Ok(written) => Ok((written, None)),
        Err(refused @ Error::Invalid(_)) => {
            io::copy(source, &mut io::sink()).map_err(read_error)?;
            Ok((Written::default(), Some(refused)))
        }
        Err(error) => Err(error),
    }
}

fn new_tree(stage: &Stage) -> Result<PathBuf> {
    let tree = stage.path().join("tree");
    std::fs::create_dir(&tree).map_err(Error::io("create", &tree))?;
    Ok(tree)
}

struct Copied {
    diff_id: Digest,
    tar_size: u64,
    blob: Digest,
    blob_size: u64,
}

fn compress(pieces: Receiver<Bytes>, file: File, path: &Path) -> Result<Copied> {
    let failed = |error| Error::io("write", path)(error);
    let mut content = Sha256::new();
    let mut tar_size = 0;
    let mut encoder = zstd::Encoder::new(Hashed::new(file), LEVEL).map_err(failed)?;
    for piece in pieces {
        content.update(&piece);
        tar_size += piece.len() as u64;
        encoder.write_all(&piece).map_err(failed)?;
    }
    let mut hashed = encoder.finish().map_err(failed)?;
    hashed.file.flush().map_err(failed)?;
    Ok(Copied {
        diff_id: Digest::finish(content),
        tar_size,
        blob: Digest::finish(hashed.hasher),
        blob_size: hashed.count,
    })
}

/// Sends a copy of what is read through it to another thread.
struct Split<R> {
    source: R,
    copy: SyncSender<Bytes>,
}

impl<R: Read> Read for Split<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let piece = Bytes::copy_from_slice(&buffer[..count]);
        if count > 0 && self.copy.send(piece).is_err() {
            return Err(io::Error::other(Error::Interrupted));
        }
        Ok(count)
    }
}

/// Counts and hashes what goes into a file.
pub(crate) struct Hashed {
    pub(crate) file: BufWriter<File>,
    pub(crate) hasher: Sha256,
    pub(crate) count: u64,
}

impl Hashed {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file: BufWriter::with_capacity(1 << 17, file),
            hasher: Sha256::new(),
            count: 0,
        }
    }
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
