//! Bytes on their way through: from asynchronous code to a blocking thread, out of whatever
//! compression they came in, and through a hash, all in one pass with little in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use crate::{Digest, Error, Result};

const BUFFER: usize = 128 * 1024;
/// Pieces in flight between network and disk: enough to keep both busy.
const QUEUE: usize = 8;
/// A copy begins its way to the disk each time that so much more of it was written.
const WRITE_BACK: u64 = 8 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The asynchronous end of a byte stream into a blocking thread.
pub(crate) struct Feeder(mpsc::Sender<Option<Bytes>>);

/// The blocking end. A feeder that goes away without [`Feeder::finish`] is an error, not an end.
pub(crate) struct Fed {
    pieces: mpsc::Receiver<Option<Bytes>>,
    current: Bytes,
    finished: bool,
}

/// Both ends of a byte stream.
pub(crate) fn feed() -> (Feeder, Fed) {
    let (sender, pieces) = mpsc::channel(QUEUE);
    (
        Feeder(sender),
        Fed {
            pieces,
            current: Bytes::new(),
            finished: false,
        },
    )
}

impl Feeder {
    /// Passes a piece on; false when the other end has given up.
    pub(crate) async fn send(&self, piece: Bytes) -> bool {
        self.0.send(Some(piece)).await.is_ok()
    }

    /// Says that the stream is complete.
    pub(crate) async fn finish(self) {
        let _ = self.0.send(None).await;
    }
}

/// Reads an archive to its end and feeds it; ends early when nobody reads it any more.
pub(crate) async fn feed_from(
    mut archive: impl AsyncRead + Send + Unpin,
    feeder: Feeder,
) -> Result<()> {
    loop {
        let mut piece = BytesMut::with_capacity(BUFFER);
        match archive.read_buf(&mut piece).await {
            Ok(0) => {
                feeder.finish().await;
                return Ok(());
            }
            Ok(_) => {
                if !feeder.send(piece.freeze()).await {
                    return Ok(());
                }
            }
            Err(error) => {
                return Err(Error::Network(format!(
                    "the archive did not arrive in full: {error}"
                )));
            }
        }
    }
}

impl Read for Fed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.finished {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.current = piece,
                Some(None) => self.finished = true,
                None => return Err(io::Error::other(Error::Interrupted)),
            }
        }
        let count = self.current.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Hashes and counts what is read through it, and writes a copy to a file when there is one.
pub(crate) struct Tee<R> {
    source: R,
    hasher: Sha256,
    count: u64,
    copy: Option<(File, PathBuf)>,
}

impl<R: Read> Tee<R> {
    /// Only hashes.
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            hasher: Sha256::new(),
            count: 0,
            copy: None,
        }
    }

    /// Hashes, and copies into a new file at `path`.
    pub(crate) fn copying(source: R, path: &Path) -> Result<Self> {
        let file = File::create_new(path).map_err(Error::io("create", path))?;
        Ok(Self {
            copy: Some((file, path.to_owned())),
            ..Self::new(source)
        })
    }

    /// The source, the digest of what was read, and how much it was.
    pub(crate) fn finish(self) -> (R, Digest, u64) {
        (self.source, Digest::finish(self.hasher), self.count)
    }
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        let bytes = &buffer[..count];
        self.hasher.update(bytes);
        let before = self.count / WRITE_BACK;
        self.count += count as u64;
        if let Some((file, path)) = &mut self.copy {
            file.write_all(bytes)
                .map_err(|error| io::Error::other(Error::io("write", path)(error)))?;
            if self.count / WRITE_BACK > before {
                crate::unpack::write_back(file);
            }
        }
        Ok(count)
    }
}

/// Takes a stream out of gzip or zstd, told by its first bytes; anything else passes unchanged.
pub(crate) enum Decompressed<R: Read> {
    /// As it came.
    Plain(BufReader<R>),
    /// gzip, of one or more members.
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    /// zstd, of one or more frames.
    Zstd(Box<zstd::Decoder<'static, BufReader<R>>>),
}

impl<R: Read> Decompressed<R> {
    /// Looks at the first bytes and picks the decoder.
    pub(crate) fn new(source: R) -> Result<Self> {
        let mut source = BufReader::with_capacity(BUFFER, source);
        let head = source.fill_buf().map_err(read_error)?;
        Ok(if head.starts_with(&GZIP) {
            Self::Gzip(Box::new(MultiGzDecoder::new(source)))
        } else if head.starts_with(&ZSTD) {
            Self::Zstd(Box::new(
                zstd::Decoder::with_buffer(source).map_err(read_error)?,
            ))
        } else if head.starts_with(b"BZh") || head.starts_with(b"\xfd7zXZ\0") {
            return Err(Error::invalid(
                "the archive is compressed with bzip2 or xz; decompress it first, or use gzip or zstd",
            ));
        } else {
            Self::Plain(source)
        })
    }

    /// Whether the first bytes are those of a compression that is known here.
    pub(crate) fn recognises(head: &[u8]) -> bool {
        head.starts_with(&GZIP) || head.starts_with(&ZSTD)
    }

    /// The source, read to its end.
    pub(crate) fn into_source(self) -> Result<R> {
        let mut source = match self {
            Self::Plain(source) => source,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        };
        io::copy(&mut source, &mut io::sink()).map_err(read_error)?;
        Ok(source.into_inner())
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(buffer),
            Self::Gzip(source) => source.read(buffer),
            Self::Zstd(source) => source.read(buffer),
        }
    }
}

/// Our own error that travelled through a reader, or a stream that ends early or is damaged.
pub(crate) fn read_error(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::invalid("the archive is cut off: unexpected end of data")
        }
        Err(error) => Error::invalid(format!("the archive cannot be read: {error}")),
    }
}
