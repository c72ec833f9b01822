//! An entry's header: ustar, with PAX records for what ustar has no room for. As in Docker's
//! archives there are no user names and no fractions of seconds, and of the extended attributes
//! only a program's capabilities.

use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, Stat};
use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

use crate::{Error, Result};

const CAPABILITY: &str = "security.capability";
/// `struct vfs_ns_cap_data` without its last field, the root user of a namespace.
const CAPABILITY_2: usize = 20;
/// Where the revision is in it.
const REVISION: usize = 3;

/// What an entry has besides its name and what `stat` tells.
pub(super) enum Link<'a> {
    /// Nothing.
    None,
    /// It is a symbolic link with this text.
    Symbolic(&'a [u8]),
    /// It is another name of this earlier entry.
    Hard(&'a [u8]),
}

/// The header blocks of an entry.
pub(super) fn encode(
    name: &[u8],
    stat: &Stat,
    link: &Link<'_>,
    capability: Option<&[u8]>,
) -> Result<Vec<u8>> {
    let entry_type = match (link, FileType::from_raw_mode(stat.st_mode)) {
        (Link::Symbolic(_), _) => EntryType::Symlink,
        (Link::Hard(_), _) => EntryType::Link,
        (_, FileType::Directory) => EntryType::Directory,
        (_, FileType::CharacterDevice) => EntryType::Char,
        (_, FileType::BlockDevice) => EntryType::Block,
        (_, FileType::Fifo) => EntryType::Fifo,
        _ => EntryType::Regular,
    };
    let mut builder = EntryBuilder::new_ustar();
    builder.path(name).entry_type(entry_type);
    if let Link::Symbolic(target) | Link::Hard(target) = link {
        builder.link_name(target);
    }
    let content = if entry_type == EntryType::Regular {
        size(stat)
    } else {
        0
    };
    builder
        .mode(stat.st_mode)
        .and_then(|builder| builder.uid(u64::from(stat.st_uid)))
        .and_then(|builder| builder.gid(u64::from(stat.st_gid)))
        .and_then(|builder| builder.size(content))
        .map_err(unfit)?;
    match u64::try_from(stat.st_mtime) {
        Ok(mtime) => builder.mtime(mtime).map_err(unfit)?,
        // Before 1970.
        Err(_) => builder
            .mtime(0)
            .map_err(unfit)?
            .add_pax("mtime", stat.st_mtime.to_string()),
    };
    if matches!(entry_type, EntryType::Char | EntryType::Block) {
        let (major, minor) = (
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
        );
        builder.device(major, minor).map_err(unfit)?;
    }
    if let Some(capability) = capability {
        builder.add_pax(&format!("SCHILY.xattr.{CAPABILITY}"), capability);
    }
    Ok(builder.finish_bytes())
}

/// A small file without content, owned by root.
pub(super) fn empty_file(name: &[u8]) -> Result<Vec<u8>> {
    let mut builder = EntryBuilder::new_ustar();
    builder.path(name).entry_type(EntryType::Regular);
    builder
        .mode(0o600)
        .and_then(|builder| builder.uid(0))
        .and_then(|builder| builder.gid(0))
        .and_then(|builder| builder.size(0))
        .and_then(|builder| builder.mtime(0))
        .map_err(unfit)?;
    Ok(builder.finish_bytes())
}

/// A file's size.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// What a program may do, if that is noted on it. The root user of a user namespace makes no sense
/// outside of it and is left out.
pub(super) fn capability(file: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let mut value = vec![0; 64];
    let count = rustix::fs::fgetxattr(file, CAPABILITY, value.as_mut_slice()).ok()?;
    value.truncate(count);
    if value.get(REVISION) == Some(&3) && value.len() > CAPABILITY_2 {
        value[REVISION] = 2;
        value.truncate(CAPABILITY_2);
    }
    Some(value)
}

fn unfit(error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("a file does not fit into an archive: {error}"))
}
