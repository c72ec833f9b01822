//! Compressing rotated log files. The warden writes and rotates; this is too much work for its one
//! thread, and may be lost without harm.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::{Compression, GzBuilder};
use warden::protocol::Call;

use super::files;
use crate::containers::{Container, logs};
use crate::{Engine, Error, blocking};

impl Engine {
    /// The warden has rotated a log. Returns at once.
    pub(crate) fn on_log_rotated(self: &Arc<Self>, id: &str) {
        let Ok(container) = self.container(id) else {
            return;
        };
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            // One after the other: logs are not to take all processors.
            let _one_at_a_time = engine.compressing.lock().await;
            if let Err(error) = engine.compress_log(&container).await {
                tracing::warn!(container = container.id, %error, "compressing its log failed");
            }
        });
    }

    async fn compress_log(&self, container: &Arc<Container>) -> Result<(), Error> {
        let path = logs::config::path(&container.lock().record, &container.dir);
        let _nobody_removes = container.log_files.lock().await;
        for number in 1.. {
            if container.lock().removing {
                break;
            }
            let plain = PathBuf::from(format!("{}.{number}", path.display()));
            let log = path.clone();
            let made = blocking::run(move || compress_one(&plain, &log)).await?;
            let Some((inode, compressed)) = made else {
                break;
            };
            let call = Call::ReplaceLog {
                container: container.id.clone(),
                inode,
                compressed: compressed.clone(),
            };
            if let Err(failure) = self.warden.call(call, Vec::new()).await {
                // It has ended meanwhile; its log stays as it is.
                tracing::debug!(container = container.id, %failure, "a log is not replaced");
                if let Err(error) = std::fs::remove_file(&compressed) {
                    tracing::warn!(%error, path = %compressed.display(), "removing a copy");
                }
            }
        }
        Ok(())
    }
}

/// Makes a compressed copy, beside the log, of a rotated file; nothing when there is none.
fn compress_one(plain: &Path, log: &Path) -> Result<Option<(u64, PathBuf)>, Error> {
    let failed = |e| Error::file("compressing", plain, e);
    let source = match File::open(plain) {
        Ok(source) => source,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let inode = source.metadata().map_err(failed)?.ino();
    let copy = PathBuf::from(format!("{}.{inode}.tmp", log.display()));
    let target = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(&copy)
        .map_err(failed)?;
    compress(&source, target, inode).map_err(failed)?;
    Ok(Some((inode, copy)))
}

/// Compresses, with the source's inode in the header: readers find their place by it.
pub(super) fn compress(source: &File, target: File, inode: u64) -> std::io::Result<()> {
    let mut encoder = GzBuilder::new()
        .comment(inode.to_string())
        .write(target, Compression::fast());
    std::io::copy(
        &mut BufReader::with_capacity(files::PIECE, source),
        &mut encoder,
    )?;
    encoder.finish()?.flush()
}
