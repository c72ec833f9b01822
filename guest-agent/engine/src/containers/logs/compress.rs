//! Compressing rotated log files. The warden writes and rotates; this is too much work for its one
//! thread, and may be lost without harm.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::{Compression, GzBuilder};
use warden::protocol::Call;

use super::files::{self, LogFile};
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
        // Files move on while one is compressed, so each is looked for anew.
        while !container.lock().removing {
            let log = path.clone();
            let made = blocking::run(move || compress_oldest(&log)).await?;
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
                break;
            }
        }
        Ok(())
    }
}

/// Makes a compressed copy, beside the log, of the oldest rotated file that is none; nothing when
/// all are.
fn compress_oldest(log: &Path) -> Result<Option<(u64, PathBuf)>, Error> {
    let failed = |e| Error::file("compressing", log, e);
    let Some(source) = files::all(log)?
        .into_iter()
        .skip(1)
        .rev()
        .find_map(LogFile::plain)
    else {
        return Ok(None);
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
