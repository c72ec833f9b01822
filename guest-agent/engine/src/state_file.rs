//! Directories of state, and writing a state file so that a crash of the engine at any instant
//! leaves the old or the new content: to a temporary file, then a rename. What must survive a loss
//! of power is synced too, before the write returns or, where somebody waits for more than the
//! disk, right after it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// How many files may wait to be synced; a writer beyond that syncs its own.
const WAITING: usize = 256;

/// How long they wait: many are replaced or removed by then, and need not be synced any more.
const SOON: Duration = Duration::from_millis(50);

/// Takes files that are to be synced; nothing when its thread could not be started.
static SYNC_SOON: LazyLock<Option<SyncSender<(Instant, File)>>> = LazyLock::new(|| {
    let (sender, files) = sync_channel::<(Instant, File)>(WAITING);
    let thread = std::thread::Builder::new().name("sync".into());
    let started = thread.spawn(move || {
        for (since, file) in files {
            std::thread::sleep(SOON.saturating_sub(since.elapsed()));
            let gone = file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
            if !gone && let Err(error) = file.sync_all() {
                tracing::error!(%error, "syncing the state of a container failed");
            }
        }
    });
    started.is_ok().then_some(sender)
});

/// Replaces `path` with `content`, durably: fsync, rename, and for a new name fsync of the
/// directory.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let new = !path.exists();
    replace(path, content, true)?;
    if new && let Some(parent) = path.parent() {
        directory(parent)?
            .sync_all()
            .map_err(|e| Error::file("syncing", parent, e))?;
    }
    Ok(())
}

/// What a person set, in a file of JSON: the default when nobody did. `what` it is about is told when
/// it can't be read.
pub(crate) fn settings<T: DeserializeOwned + Default>(path: &Path, what: &str) -> Result<T, Error> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Error::System(format!(
                "{} cannot be read: {error}; set the {what} anew",
                path.display()
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(Error::file("reading", path, error)),
    }
}

/// Keeps what a person sets.
pub(crate) fn keep_settings(path: &Path, settings: &impl Serialize) -> Result<(), Error> {
    let text =
        serde_json::to_vec_pretty(settings).map_err(|error| Error::System(error.to_string()))?;
    write(path, &text)
}

/// Replaces `path` with `content`; the disk has it a moment later.
pub(crate) fn write_behind(path: &Path, content: &[u8]) -> Result<(), Error> {
    let new = !path.exists();
    let file = replace(path, content, false)?;
    sync_soon(path, file)?;
    match path.parent() {
        Some(parent) if new => sync_soon(parent, directory(parent)?),
        _ => Ok(()),
    }
}

/// What is in a directory of state, which is made if it is not there.
pub(crate) fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(dir).map_err(|e| Error::file("creating", dir, e))?;
    fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(|e| Error::file("reading", dir, e))
}

fn directory(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|e| Error::file("opening", path, e))
}

fn sync_soon(path: &Path, file: File) -> Result<(), Error> {
    let left = match &*SYNC_SOON {
        Some(sender) => sender
            .try_send((Instant::now(), file))
            .err()
            .map(|error| match error {
                TrySendError::Full((_, file)) | TrySendError::Disconnected((_, file)) => file,
            }),
        None => Some(file),
    };
    match left {
        Some(file) => file.sync_all().map_err(|e| Error::file("syncing", path, e)),
        None => Ok(()),
    }
}

fn replace(path: &Path, content: &[u8], sync: bool) -> Result<File, Error> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary).map_err(|e| Error::file("creating", &temporary, e))?;
    file.write_all(content)
        .map_err(|e| Error::file("writing", &temporary, e))?;
    if sync {
        file.sync_all()
            .map_err(|e| Error::file("syncing", &temporary, e))?;
    }
    fs::rename(&temporary, path).map_err(|e| Error::file("replacing", path, e))?;
    Ok(file)
}
