//! What a path in a container is: `HEAD /containers/{id}/archive`, which clients ask for before
//! they copy.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::fs::{FileType, Stat};

use super::{path_error, paths};
use crate::time::Time;
use crate::{Engine, Error, blocking};

/// What Docker tells of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// Its last component.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Kind and permissions in the bits of Go's `FileMode`.
    pub mode: u32,
    /// Time of the last change.
    pub mtime: Time,
    /// Where a link leads in the end; empty for anything else.
    pub link_target: String,
}

impl Engine {
    /// Looks at a path in a container.
    pub async fn stat_path(self: &Arc<Self>, name: &str, path: &str) -> Result<PathStat, Error> {
        let container = self.container(name)?;
        let view = self.file_view(&container).await?;
        let (name, path) = (name.to_owned(), path.to_owned());
        blocking::run(move || {
            let (stat, _) = look(view.root(), &path, &path, &name)?;
            Ok(stat)
        })
        .await
    }
}

/// Looks at `path`; `asked` is how the client wrote it.
pub(super) fn look(
    root: BorrowedFd<'_>,
    path: &str,
    asked: &str,
    container: &str,
) -> Result<(PathStat, FileType), Error> {
    let failed = |errno| path_error("lstat", path, asked, container, errno);
    let (_, stat) = paths::look(root, path).map_err(failed)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let link_target = if kind == FileType::Symlink {
        paths::follow(root, path).map_err(failed)?
    } else {
        String::new()
    };
    Ok((
        PathStat {
            name: paths::base(path).to_owned(),
            size: stat.st_size,
            mode: go_mode(&stat),
            mtime: Time::from_unix(
                stat.st_mtime,
                i32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
            link_target,
        },
        kind,
    ))
}

/// Go keeps kind and special bits at the upper end of the number.
fn go_mode(stat: &Stat) -> u32 {
    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const FIFO: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SETUID: u32 = 1 << 23;
    const SETGID: u32 = 1 << 22;
    const CHARACTER_DEVICE: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => DIRECTORY,
        FileType::Symlink => SYMLINK,
        FileType::BlockDevice => DEVICE,
        FileType::CharacterDevice => DEVICE | CHARACTER_DEVICE,
        FileType::Fifo => FIFO,
        FileType::Socket => SOCKET,
        FileType::RegularFile | FileType::Unknown => 0,
    };
    let special = [(0o4000, SETUID), (0o2000, SETGID), (0o1000, STICKY)];
    special
        .into_iter()
        .filter(|(bit, _)| stat.st_mode & bit != 0)
        .fold(kind | (stat.st_mode & 0o777), |mode, (_, go)| mode | go)
}
