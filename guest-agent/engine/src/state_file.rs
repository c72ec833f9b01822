//! Writing a state file so that a crash at any instant leaves the old or the new content: to a
//! temporary file, fsync, rename, fsync of the directory.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::Error;

/// Replaces `path` with `content`.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary).map_err(|e| Error::file("creating", &temporary, e))?;
    file.write_all(content)
        .map_err(|e| Error::file("writing", &temporary, e))?;
    file.sync_all()
        .map_err(|e| Error::file("syncing", &temporary, e))?;
    drop(file);
    fs::rename(&temporary, path).map_err(|e| Error::file("replacing", path, e))?;
    if let Some(parent) = path.parent() {
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| Error::file("syncing", parent, e))?;
    }
    Ok(())
}
