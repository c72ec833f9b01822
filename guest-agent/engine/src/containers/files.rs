//! A container's files from outside: `docker cp`, `diff` and `export`.

pub(crate) mod changes;
mod copy_in;
mod copy_out;
mod export;
pub(crate) mod init_layer;
pub(crate) mod paths;
mod stat;
pub(crate) mod stream;
mod view;

pub use changes::{Change, ChangeKind};
pub use copy_in::CopyIn;
pub(crate) use export::still_there;
pub use stat::PathStat;
pub use stream::Chunks;
pub(crate) use view::FileUse;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::Error;

/// The merged files of read-only layers, the topmost first.
pub(crate) fn merged(layers: &[PathBuf]) -> Result<OwnedFd, Error> {
    runtime::view::layers(layers).map_err(|error| {
        Error::System(format!(
            "cannot mount the image's layers: {}",
            runtime::Failure::from(&error).message
        ))
    })
}

/// What a client hears of a path that could not be looked at: dockerd's words, which are Go's.
fn path_error(step: &str, path: &str, asked: &str, container: &str, errno: Errno) -> Error {
    if errno == Errno::NOENT {
        return Error::NotFound(format!(
            "Could not find the file {asked} in container {container}"
        ));
    }
    let reason = match errno {
        Errno::LOOP => "too many levels of symbolic links".to_owned(),
        errno => runtime::errno_text(errno),
    };
    Error::System(format!("{step} {path}: {reason}"))
}
