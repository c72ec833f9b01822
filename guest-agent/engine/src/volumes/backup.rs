//! `GET /slipway/volumes/{name}/backup`: a volume's files as a tar archive under zstd.

use std::io::Write;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use images::{Form, Packer};

use super::usage::names;
use crate::containers::stream::{Chunks, Outlet};
use crate::system::directory_size;
use crate::{Engine, Error, blocking};

/// A database's pages shrink to a third, as fast as a disk reads.
const LEVEL: i32 = 3;
/// A piece on its way.
const PIECE: usize = 256 * 1024;
/// Paused containers wait no longer than this for a client that takes nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// A backup on its way.
#[derive(Debug)]
pub struct Backup {
    /// The archive, whole when it ends without an error.
    pub chunks: Chunks,
    /// Bytes of the files, as they were before it began.
    pub bytes: u64,
    /// Containers that may write meanwhile.
    pub writers: Vec<String>,
    /// Containers that are paused meanwhile.
    pub paused: Vec<String>,
}

impl Engine {
    /// A volume's files as an archive; with `pause` the containers that use it are frozen until
    /// it is read.
    pub async fn back_up_volume(
        self: &Arc<Self>,
        name: &str,
        pause: bool,
    ) -> Result<Backup, Error> {
        let (engine, name) = (Arc::clone(self), name.to_owned());
        blocking::to_the_end(async move {
            let (volume, work) = engine.volumes.reading(&name)?;
            let still = match pause {
                true => engine.pause_users(&name).await?,
                false => super::still::Still::default(),
            };
            let this = Arc::clone(&engine);
            let opened = blocking::run(move || {
                let root = this.open_volume_with_files(&volume)?;
                // By the handle: what was mounted for it is not at its place any more.
                let files = format!("/proc/self/fd/{}", root.as_raw_fd());
                let bytes = directory_size(files.as_ref());
                Ok((root, bytes))
            })
            .await;
            let (root, bytes) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    engine.let_go(still).await;
                    return Err(error);
                }
            };
            let paused = still.names();
            let mut writers = names(&engine.running_users(&name));
            writers.retain(|user| !paused.contains(user));
            let (outlet, chunks) = Outlet::new();
            tokio::spawn(async move {
                let patience = (!still.is_empty()).then_some(PATIENCE);
                let out = outlet.clone();
                let outcome = blocking::run(move || write(&root, &out, patience)).await;
                // Before its end: a client that has the whole archive finds them running.
                engine.let_go(still).await;
                drop(work);
                blocking::behind(move || {
                    outlet.finish(outcome);
                });
            });
            Ok(Backup {
                chunks,
                bytes,
                writers,
                paused,
            })
        })
        .await
    }
}

fn write(root: &OwnedFd, outlet: &Outlet, patience: Option<Duration>) -> Result<(), Error> {
    let mut pieces = Pieces {
        outlet,
        patience,
        buffer: Vec::with_capacity(PIECE),
        tired: false,
    };
    let written = compress(root, &mut pieces);
    if pieces.tired {
        return Err(Error::Unavailable(format!(
            "nobody took the archive for {} seconds while containers were paused",
            PATIENCE.as_secs()
        )));
    }
    written
}

fn compress(root: &OwnedFd, pieces: &mut Pieces<'_>) -> Result<(), Error> {
    let failed = |e: std::io::Error| Error::System(format!("writing the archive: {e}"));
    let mut encoder = zstd::Encoder::new(pieces, LEVEL).map_err(failed)?;
    // So that whoever restores it finds what was damaged.
    encoder.include_checksum(true).map_err(failed)?;
    let mut packer = Packer::new(Form::Whole, |piece| encoder.write_all(&piece).is_ok());
    packer.directory(root.as_fd(), b".")?;
    packer.finish()?;
    let pieces = encoder.finish().map_err(failed)?;
    pieces.flush().map_err(failed)
}

/// Puts what is written into pieces and sends them.
struct Pieces<'a> {
    outlet: &'a Outlet,
    patience: Option<Duration>,
    buffer: Vec<u8>,
    /// The client took too long.
    tired: bool,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let piece = Bytes::from(std::mem::replace(
            &mut self.buffer,
            Vec::with_capacity(PIECE),
        ));
        if piece.is_empty() {
            return Ok(());
        }
        let sent = match self.patience {
            None => self.outlet.send(piece),
            Some(limit) => self.outlet.send_within(piece, limit).unwrap_or_else(|_| {
                self.tired = true;
                false
            }),
        };
        match sent {
            true => Ok(()),
            false => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}
