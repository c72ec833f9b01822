//! Writing a state file so that a crash of the engine at any instant leaves the old or the new
//! content: to a temporary file, then a rename. What must survive a loss of power is synced too.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::Error;

/// Replaces `path` with `content`, durably: fsync, rename, and for a new name fsync of the
/// directory.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let new = !path.exists();
    replace(path, content, true)?;
    if new && let Some(parent) = path.parent() {
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| Error::file("syncing", parent, e))?;
    }
    Ok(())
}

/// Replaces `path` with `content`; the disk has it some seconds later.
pub(crate) fn write_soon(path: &Path, content: &[u8]) -> Result<(), Error> {
    replace(path, content, false)
}

fn replace(path: &Path, content: &[u8], sync: bool) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary).map_err(|e| Error::file("creating", &temporary, e))?;
    file.write_all(content)
        .map_err(|e| Error::file("writing", &temporary, e))?;
    if sync {
        file.sync_all()
            .map_err(|e| Error::file("syncing", &temporary, e))?;
    }
    drop(file);
    fs::rename(&temporary, path).map_err(|e| Error::file("replacing", path, e))
}
